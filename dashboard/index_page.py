"""The HTML of every page, and of an address where no page is: Streamlit's own, with our name and one script more.

The script says where the app's server is, which Streamlit would try out by requests that fail, and puts into words what
it means when a local server does not respond.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from starlette.convertors import StringConvertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from streamlit import file_util

from dashboard.pages import page_paths

FOLDER = Path(__file__).parent


class PageName(StringConvertor):
    """What an unknown page can be called; the names left out are routes of Streamlit's that come after ours."""

    regex = "(?!healthz$|oauth2callback$)[A-Za-z][A-Za-z0-9_-]*"


register_url_convertor("page_name", PageName())


@cache
def index_html() -> str:
    """Return the document that loads Streamlit's frontend."""
    original = (Path(file_util.get_static_dir()) / "index.html").read_text(encoding="utf-8")
    script = (FOLDER / "index_page.js").read_text(encoding="utf-8")
    named = original.replace("<title>Streamlit</title>", "<title>Maskloom</title>")
    return named.replace("</title>", f"</title>\n    <script>{script}</script>", 1)


def page(request: Request) -> Response:
    return HTMLResponse(index_html(), headers={"Cache-Control": "no-cache"})


def unknown_page(request: Request) -> Response:
    return HTMLResponse((FOLDER / "unknown_page.html").read_text(encoding="utf-8"), 404)


def index_routes() -> list[Route]:
    """Return the routes of all pages, and of what looks like the name of one. They come after all others of ours.

    Below a base path (server.baseUrlPath) Streamlit serves its own document.
    """
    known = [Route(path, page, methods=["GET"]) for path in sorted(page_paths())]
    return [*known, Route("/{name:page_name}", unknown_page, methods=["GET"])]
