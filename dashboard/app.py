"""Entry: `streamlit run dashboard/app.py` serves the pages, and routes for pictures, uploads and downloads beside them.

Streamlit finds `app` here, starts the lifespan once per process, and runs navigation.py for every visit.
"""

import sys
from pathlib import Path

import streamlit as st

# `streamlit run` puts only this file's folder on the path, and our packages lie beside it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dashboard.queue_watch import lifespan
from dashboard.routes import ROUTES

app = st.App("navigation.py", routes=ROUTES, lifespan=lifespan)
