from dashboard.pages import Page

PAGE = Page("Compare", ":material/compare:", order=8)
