"""The components page with the real routes beside it."""

import streamlit as st

from dashboard.pages import page_routes
from dashboard.server.routes import ROUTES

app = st.App("components_page.py", routes=[*page_routes(), *ROUTES])
