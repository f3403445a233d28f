from dashboard.pages import Page

PAGE = Page("Measure", ":material/straighten:", order=10)
