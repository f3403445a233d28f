from dashboard.pages import Page

PAGE = Page("Masks", ":material/auto_fix_high:", order=3)
