from dashboard.pages import Page

PAGE = Page("Gallery", ":material/grid_view:", order=7)
