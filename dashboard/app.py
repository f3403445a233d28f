"""Entry: `streamlit run dashboard/app.py` serves the pages, and routes for pictures, uploads and downloads beside them.

Streamlit finds `app` here, starts the lifespan once per process, and runs navigation.py for every visit.
"""

import sys
from pathlib import Path

# Streamlit imports pandas when a page first needs it. Two visitors, or a rerun of one, then import it in two threads,
# and one of them gets a half-made module and an error in place of the page. Here there is one thread only.
import pandas  # noqa: F401
import plotly.graph_objects  # noqa: F401
import streamlit as st

# `streamlit run` puts only this file's folder on the path, and our packages lie beside it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from starlette.middleware import Middleware
from streamlit.auth_util import get_secrets_auth_section

from dashboard.access.entrance import reason_not_to_start
from dashboard.access.gate import Gate
from dashboard.access.refusals import show_refusal
from dashboard.access.token_route import TOKEN_ROUTES
from dashboard.server.queue_watch import lifespan
from dashboard.server.routes import ROUTES
from dashboard.server.web_log import RequestLog
from dashboard.views.runs.routes import LIVE_ROUTES
from engine.core.settings import settings

# Without its configuration Streamlit listens on every address. It reads .streamlit beside this file, which links to the
# one of the repository; where links do not exist (Windows), only a start from the repository's folder finds it.
if st.get_option("server.address") is None:
    raise SystemExit(
        f"Maskloom's configuration was not found. Start it from {Path(__file__).resolve().parents[1]}, "
        "or say which address to listen on: --server.address 127.0.0.1"
    )
reason = reason_not_to_start(st.get_option("server.address"), get_secrets_auth_section(), settings())
if reason:
    raise SystemExit(reason)

app = st.App(
    "navigation.py",
    routes=[*LIVE_ROUTES, *ROUTES, *TOKEN_ROUTES],  # asked most often first
    lifespan=lifespan,
    middleware=[Middleware(RequestLog), Middleware(Gate)],  # what the gate refuses is logged too
    on_script_error=show_refusal,
)
