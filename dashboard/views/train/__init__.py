from dashboard.pages import Page

PAGE = Page("Train", ":material/model_training:", order=4)
