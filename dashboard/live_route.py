"""The route that every open page of a run asks once or twice a second: one look into the database serves them all.

A page that polled by itself would run a script for each look. This answer is kept for a moment and shared, and a page
runs its script only when the answer says that there is something new to draw (docs/adr/0008-live-pages.md).
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

import anyio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dashboard import resources, urls
from dashboard.route_guard import GUARDS, plain
from dashboard.viewmodels.live import snapshot
from dashboard.viewmodels.runs import live_status
from db.models import utc_now
from engine.artifacts import BadKey, checked_id

FRESH_S = 0.25
MOST_RUNS = 64
HEADERS = {**GUARDS, "Cache-Control": "no-store"}


@dataclass
class _Kept:
    """The last answer about one run; None if there is no such run."""

    body: bytes | None = None
    read_at: float = float("-inf")
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


class Board:
    """Answers about runs, each read at most once in `fresh_s` seconds however many ask. For one event loop."""

    def __init__(self, read: Callable[[str], bytes | None], fresh_s: float = FRESH_S) -> None:
        self._read, self._fresh_s = read, fresh_s
        self._kept: dict[str, _Kept] = {}

    async def answer(self, run_id: str) -> bytes | None:
        """Return the answer about a run, None if it does not exist."""
        kept = self._kept.get(run_id)
        if kept is None:
            while len(self._kept) >= MOST_RUNS:
                self._kept.pop(next(iter(self._kept)))
            kept = self._kept[run_id] = _Kept()
        async with kept.reading:  # who comes while it is being read takes what comes of it
            if time.monotonic() - kept.read_at >= self._fresh_s:
                kept.body = await anyio.to_thread.run_sync(self._read, run_id)
                kept.read_at = time.monotonic()
            return kept.body


def read(run_id: str) -> bytes | None:
    """Return a run's `viewmodels.live.Snapshot` as JSON, None if there is no such run."""
    with resources.database().reading() as session:
        status = live_status(session, run_id, utc_now(), resources.settings().lost_after_s)
    return None if status is None else json.dumps(asdict(snapshot(status))).encode()


_board = Board(read)


async def live(request: Request) -> Response:
    """Answer our own pages with how a run stands."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return plain(403, "Only Maskloom's own pages may ask for this.")
    try:
        body = await _board.answer(checked_id(request.path_params["run"]))
    except BadKey:
        body = None
    if body is None:
        return plain(404, "There is no such run.")
    return Response(body, media_type="application/json", headers=HEADERS)


LIVE_ROUTE = Route(f"{urls.PREFIX}/runs/{{run}}/live.json", live, methods=["GET"])
