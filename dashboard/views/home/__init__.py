from dashboard.pages import Page

PAGE = Page("Home", ":material/home:", order=1)
