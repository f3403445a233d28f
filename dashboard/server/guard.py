"""What all routes for files share: who may ask, how a wrong request is answered, and what a browser may keep."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dashboard.facts import urls
from dashboard.server import resources
from engine.store import keys as stored
from engine.store.keys import BadKey

GUARDS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Referrer-Policy": "no-referrer",
}
FOREVER = "private, max-age=31536000, immutable"
REVALIDATE = "private, no-cache"

Answer = Callable[[Request], Response]


def guarded(answer: Answer) -> Answer:
    """Answer only our own pages, turn a bad id or a missing row or file into a plain 404, and set the guard headers."""

    @functools.wraps(answer)
    def inner(request: Request) -> Response:
        # Browsers say where a request comes from; a picture or a mask is nothing for another site's page.
        if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            return plain(403, "Only Maskloom's own pages may ask for this.")
        try:
            response = answer(request)
        except (BadKey, FileNotFoundError):
            return plain(404, "There is no such file.")
        except HTTPException as error:
            return plain(error.status_code, str(error.detail))
        response.headers.update(GUARDS)
        return response

    return inner


def plain(status: int, sentence: str) -> Response:
    return JSONResponse({"error": sentence}, status, {**GUARDS, "Cache-Control": "no-store"})


def file_tag(key: str, variant: str) -> str:
    return f'"{resources.artifacts().version(key)}-{variant}"'


def unchanged(request: Request, tag: str, caching: str) -> Response | None:
    if request.headers.get("if-none-match") != tag:
        return None
    return Response(status_code=304, headers={"Cache-Control": caching, "ETag": tag})


def share(request: Request, name: str, default: float) -> float:
    text = request.query_params.get(name, f"{default:g}")
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise HTTPException(400, f"The '{name}' parameter must be in [0, 1]. Got {text[:20]!r}.")
    return value


def row_of(session: Session, table: Any, row_id: str) -> Any:
    row = session.get(table, stored.checked_id(row_id))
    if row is None:
        raise HTTPException(404, "It is not there, or no longer.")
    return row


def get(path: str, answer: Answer) -> Route:
    return Route(f"{urls.PREFIX}/{path}", answer, methods=["GET"])
