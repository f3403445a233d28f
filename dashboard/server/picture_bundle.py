"""Many pictures in one answer. A page of tiles shows 144, and a request costs more than the picture it brings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Match, Route

from dashboard.facts import urls

MOST_PICTURES = 48


def bundle_route(routes: Iterable[Route]) -> Route:
    """Return the route that answers for many addresses of `routes` at once: `?of=ADDRESS&of=ADDRESS…`.

    The answer holds each picture's length (uint32, little endian) and its bytes, in the order asked for; a length of 0
    stands for one that its own route would not give. Every address is answered by its own route, with its guards.
    """
    given = list(routes)

    def answer(request: Request) -> Response:
        addresses = request.query_params.getlist("of")
        if len(addresses) > MOST_PICTURES:
            return Response(f"At most {MOST_PICTURES} pictures at once. Got {len(addresses)}.", 400)
        found = [_picture(given, request, address) for address in addresses]
        body = b"".join(len(each).to_bytes(4, "little") + each for each in found)
        headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        headers["Content-Encoding"] = "identity"  # pictures are packed already: the server shall not try it again
        return Response(body, media_type="application/octet-stream", headers=headers)

    return Route(urls.PICTURES, answer, methods=["GET"])


def _picture(routes: Sequence[Route], request: Request, address: str) -> bytes:
    """Return the bytes of the picture at an address of ours; none where there is no such picture."""
    parts = urlsplit(address)
    # Without the headers that ask about one answer: the guards want the rest.
    headers = [header for header in request.scope["headers"] if not header[0].startswith(b"if-")]
    scope = {**request.scope, "path": parts.path, "query_string": parts.query.encode(), "headers": headers}
    for route in routes:
        match, more = route.matches(scope)
        if match == Match.FULL:
            response = route.endpoint(Request({**scope, **more}))
            return _bytes_of(response) if response.status_code == 200 else b""
    return b""


def _bytes_of(response: Response) -> bytes:
    return Path(response.path).read_bytes() if isinstance(response, FileResponse) else bytes(response.body)
