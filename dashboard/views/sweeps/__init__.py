from dashboard.pages import Page

PAGE = Page("Sweeps", ":material/scatter_plot:", order=6)
