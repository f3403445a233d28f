"""The components page with the real routes beside it."""

import streamlit as st

from dashboard.server.routes import ROUTES
from dashboard.views.runs.routes import LIVE_ROUTES

app = st.App("components_page.py", routes=[*LIVE_ROUTES, *ROUTES])
