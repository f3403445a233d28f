from dashboard.pages import Page

PAGE = Page("Runs", ":material/monitoring:", order=5)
