from dashboard.pages import Page

PAGE = Page("Predict", ":material/image_search:", order=9)
