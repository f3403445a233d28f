"""The routes that every open page of a run asks: how far it is, once or twice a second, and what an epoch has changed.

A page that polled by itself would run a script for each look. These answers are kept and shared, and a page runs its
script only when the run has come to another stage (docs/adr/0008-live-pages.md).
"""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import asdict, dataclass, field
from typing import Generic, TypeVar

import anyio
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard.facts import urls
from dashboard.server import resources
from dashboard.server.guard import GUARDS, plain, share
from dashboard.views.runs.curves import MOST_SMOOTHING, Look
from dashboard.views.runs.facts import live_status
from dashboard.views.runs.live_facts import snapshot
from dashboard.views.runs.news import latest_news
from db.models import utc_now
from engine.store.keys import BadKey, checked_id

FRESH_S = 0.25
MOST_KEPT = 64
LONGEST_VERSION = 100
HEADERS = {**GUARDS, "Cache-Control": "no-store"}

Asked = TypeVar("Asked", bound=Hashable)


@dataclass
class _Kept:
    """The last answer to one question; None if there is no such run. From `old_at` on it is read anew."""

    body: bytes | None = None
    old_at: float = float("-inf")
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


class Board(Generic[Asked]):
    """Answers that are read once however many ask. For one event loop.

    `read` returns the answer, None if there is no such run, and for how many seconds it is to be kept.
    """

    def __init__(self, read: Callable[[Asked], tuple[bytes | None, float]]) -> None:
        self._read = read
        self._kept: dict[Asked, _Kept] = {}

    async def answer(self, asked: Asked) -> bytes | None:
        """Return the answer, None if there is no such run."""
        kept = self._kept.get(asked)
        if kept is None:
            while len(self._kept) >= MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))
            kept = self._kept[asked] = _Kept()
        async with kept.reading:  # who comes while it is being read takes what comes of it
            if time.monotonic() >= kept.old_at:
                kept.body, fresh_s = await anyio.to_thread.run_sync(self._read, asked)
                kept.old_at = time.monotonic() + fresh_s
            return kept.body


@dataclass(frozen=True)
class _NewsOf:
    """News of a run in a look. The version makes the answer one that can be kept: it is at least as new as that."""

    run_id: str
    look: Look
    version: str


def read(run_id: str) -> tuple[bytes | None, float]:
    """Return a run's `live_facts.Snapshot` as JSON, for a `Board`."""
    with resources.database().reading() as session:
        status = live_status(session, run_id, utc_now(), resources.settings().lost_after_s)
    return None if status is None else json.dumps(asdict(snapshot(status))).encode(), FRESH_S


def read_news(asked: _NewsOf) -> tuple[bytes | None, float]:
    """Return a run's `run_news.News` as JSON, packed with gzip once for all who ask, for a `Board`."""
    found = latest_news(asked.run_id, asked.look)
    return None if found is None else gzip.compress(json.dumps(asdict(found)).encode(), 6), float("inf")


_board = Board(read)
_news = Board(read_news)


async def live(request: Request) -> Response:
    """Answer our own pages with how a run stands."""
    body = await _answer(request, lambda run_id: _board.answer(run_id))
    return body if isinstance(body, Response) else Response(body, media_type="application/json", headers=HEADERS)


async def news(request: Request) -> Response:
    """Answer our own pages with what the newest epoch of a run changes on them."""
    try:
        smoothing = min(round(share(request, "smoothing", 0.0), 2), MOST_SMOOTHING)
    except HTTPException as error:
        return plain(error.status_code, str(error.detail))
    look = Look(request.query_params.get("log") == "1", smoothing)
    version = request.query_params.get("version", "")[:LONGEST_VERSION]
    body = await _answer(request, lambda run_id: _news.answer(_NewsOf(run_id, look, version)))
    if isinstance(body, Response):
        return body
    headers = {**HEADERS, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(body, media_type="application/json", headers={**headers, "Content-Encoding": "gzip"})
    return Response(gzip.decompress(body), media_type="application/json", headers=headers)


async def _answer(request: Request, answer: Callable[[str], Awaitable[bytes | None]]) -> bytes | Response:
    """Return the bytes about the run of the address, or why there are none."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return plain(403, "Only Maskloom's own pages may ask for this.")
    try:
        body = await answer(checked_id(request.path_params["run"]))
    except BadKey:
        body = None
    return plain(404, "There is no such run.") if body is None else body


ROUTES = [
    Route(f"{urls.PREFIX}/runs/{{run}}/live.json", live, methods=["GET"]),
    Route(f"{urls.PREFIX}/runs/{{run}}/epoch.json", news, methods=["GET"]),
]
