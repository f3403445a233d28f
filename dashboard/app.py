"""Entry: `streamlit run dashboard/app.py` serves the pages, and routes for pictures, uploads and downloads beside them.

Streamlit finds `app` here, starts the lifespan once per process, and runs navigation.py for every visit.
"""

import sys
from pathlib import Path

import pandas  # noqa: F401
import plotly.graph_objects  # noqa: F401
import streamlit as st
from starlette.middleware import Middleware

# Streamlit imports pandas when a page first needs it. Two visitors, or a rerun of one, then import it in two threads,
# and one of them gets a half-made module and an error in place of the page. Here there is one thread only.

# `streamlit run` puts only this file's folder on the path, and our packages lie beside it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from dashboard.queue_watch import lifespan
from dashboard.routes import ROUTES
from dashboard.web_log import RequestLog, page_failed

# Without its configuration Streamlit listens on every address. It reads .streamlit beside this file, which links to the
# one of the repository; where links do not exist (Windows), only a start from the repository's folder finds it.
if st.get_option("server.address") is None:
    raise SystemExit(
        f"Maskloom's configuration was not found. Start it from {Path(__file__).resolve().parents[1]}, "
        "or say which address to listen on: --server.address 127.0.0.1"
    )

app = st.App(
    "navigation.py",
    routes=ROUTES,
    lifespan=lifespan,
    middleware=[Middleware(RequestLog)],
    on_script_error=page_failed,
)
