from dashboard.pages import Page

PAGE = Page("Sweeps", ":material/tune:", order=4.5)
