"""What all routes for files share: who may ask, how a wrong request is answered, and what a browser may keep."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.orm import Session
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dashboard.facts import urls
from dashboard.server import resources
from engine.store import keys as stored
from engine.store.base import StoreFailed
from engine.store.keys import BadKey

GUARDS = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Referrer-Policy": "no-referrer",
}
# A form on another site cannot send it, and a script there is stopped by the browser's preflight.
HEADER = "x-maskloom-upload"
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
        except StoreFailed as error:
            return plain(503, str(error))
        except HTTPException as error:
            return plain(error.status_code, str(error.detail))
        response.headers.update(GUARDS)
        return response

    return inner


def is_sent_by_our_page(request: Request) -> bool:
    """Return whether a request that changes something was sent by a script of our own pages."""
    if request.headers.get(HEADER) != "1" or request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == request.headers.get("host")


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


class Number(Convertor[int]):
    """A number of few digits: Python refuses to read thousands of them, and rounds and epochs have few."""

    regex = "[0-9]{1,9}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


register_url_convertor("number", Number())


def get(path: str, answer: Answer) -> Route:
    return Route(f"{urls.PREFIX}/{path}", answer, methods=["GET"])
