from dashboard.pages import Page

PAGE = Page("Datasets", ":material/photo_library:", order=2)
