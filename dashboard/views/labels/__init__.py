from dashboard.pages import Page

PAGE = Page("Labels", ":material/auto_fix_high:", order=3)
