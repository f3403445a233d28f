"""Entry point: `streamlit run dashboard/app.py` serves the pages and the routes for images, uploads and downloads.

Streamlit loads `app`, starts its lifespan once per process, and runs navigation.py for every visit.
"""

import sys
from pathlib import Path

import streamlit as st

# `streamlit run` puts only this file's folder on the path; the packages are one level up.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from starlette.middleware import Middleware
from streamlit.auth_util import get_secrets_auth_section

from dashboard.access.gate import Gate
from dashboard.access.mode import reason_not_to_start
from dashboard.access.rights import show_error
from dashboard.access.token_route import TOKEN_ROUTES
from dashboard.index_page import index_routes
from dashboard.pages import page_routes
from dashboard.server import resources
from dashboard.server.queue_watch import lifespan
from dashboard.server.routes import ROUTES
from dashboard.server.web_log import RequestLog
from engine.core.parameters import ParameterError
from engine.core.settings import settings

# Without its configuration Streamlit listens on every address. It reads .streamlit beside this file, which links to the
# repository's; where links do not exist (Windows), it is read only when started from the repository's folder.
if st.get_option("server.address") is None:
    raise SystemExit(
        f"Maskloom's configuration was not found. Start it from {Path(__file__).resolve().parents[1]}, "
        "or set the address to listen on: --server.address 127.0.0.1"
    )
try:
    chosen = settings()
except ParameterError as error:
    raise SystemExit(str(error)) from None
reason = reason_not_to_start(st.get_option("server.address"), get_secrets_auth_section(), chosen)
reason = reason or resources.reason_not_to_open()
if reason:
    raise SystemExit(reason)

app = st.App(
    "navigation.py",
    routes=[
        *page_routes(),
        *ROUTES,
        *TOKEN_ROUTES,
        *index_routes(),
    ],  # live updates come first: they are requested most often
    lifespan=lifespan,
    middleware=[Middleware(RequestLog), Middleware(Gate)],  # rejected requests are logged too
    on_script_error=show_error,
)
