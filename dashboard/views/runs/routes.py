"""The routes that every open page of a run polls: its progress once or twice a second, and the news of an epoch.

Polling with a fragment would run a script each time. These answers are cached and shared, and a page runs its script
only when the run reaches another stage (docs/adr/0008-live-pages.md).
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
from dashboard.views.runs.curves import MOST_SMOOTHING, CurveSettings, latest_news
from dashboard.views.runs.facts import live_status
from dashboard.views.runs.live_facts import snapshot
from db.models import utc_now
from engine.store.keys import BadKey, checked_id

FRESH_S = 0.25
MOST_CACHED = 64
LONGEST_VERSION = 100
HEADERS = {**GUARDS, "Cache-Control": "no-store"}

Question = TypeVar("Question", bound=Hashable)


@dataclass
class _Cached:
    """The last answer to one question, None if the run does not exist. It expires at `expires_at`."""

    body: bytes | None = None
    expires_at: float = float("-inf")
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)


class AnswerCache(Generic[Question]):
    """Answers that are read once for any number of concurrent requests of one event loop.

    `read` returns the answer, None if the run does not exist, and for how many seconds it may be cached.
    """

    def __init__(self, read: Callable[[Question], tuple[bytes | None, float]]) -> None:
        self._read = read
        self._cached: dict[Question, _Cached] = {}

    async def answer(self, question: Question) -> bytes | None:
        """Return the answer, None if the run does not exist."""
        cached = self._cached.get(question)
        if cached is None:
            while len(self._cached) >= MOST_CACHED:
                self._cached.pop(next(iter(self._cached)))
            cached = self._cached[question] = _Cached()
        async with cached.reading:  # a request that arrives during the read shares its result
            if time.monotonic() >= cached.expires_at:
                cached.body, fresh_s = await anyio.to_thread.run_sync(self._read, question)
                cached.expires_at = time.monotonic() + fresh_s
            return cached.body


@dataclass(frozen=True)
class _NewsQuestion:
    """News of a run with these curve settings. The answer is at least as new as `version`, so it never expires."""

    run_id: str
    chosen: CurveSettings
    version: str


def read(run_id: str) -> tuple[bytes | None, float]:
    """Return a run's `Snapshot` as JSON."""
    with resources.database().reading() as session:
        status = live_status(session, run_id, utc_now(), resources.settings().lost_after_s)
    return None if status is None else json.dumps(asdict(snapshot(status))).encode(), FRESH_S


def read_news(question: _NewsQuestion) -> tuple[bytes | None, float]:
    """Return a run's `News` as JSON, compressed once for all requests."""
    latest = latest_news(question.run_id, question.chosen)
    return None if latest is None else gzip.compress(json.dumps(asdict(latest)).encode(), 6), float("inf")


_live_answers = AnswerCache(read)
_news_answers = AnswerCache(read_news)


async def live(request: Request) -> Response:
    """Return the progress of a run, to Maskloom's own pages only."""
    body = await _answer(request, _live_answers.answer)
    return body if isinstance(body, Response) else Response(body, media_type="application/json", headers=HEADERS)


async def news(request: Request) -> Response:
    """Return what the newest epoch of a run changes on its page, to Maskloom's own pages only."""
    try:
        smoothing = min(round(share(request, "smoothing", 0.0), 2), MOST_SMOOTHING)
    except HTTPException as error:
        return plain(error.status_code, str(error.detail))
    chosen = CurveSettings(request.query_params.get("log") == "1", smoothing)
    version = request.query_params.get("version", "")[:LONGEST_VERSION]
    body = await _answer(request, lambda run_id: _news_answers.answer(_NewsQuestion(run_id, chosen, version)))
    if isinstance(body, Response):
        return body
    headers = {**HEADERS, "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("accept-encoding", ""):
        return Response(body, media_type="application/json", headers={**headers, "Content-Encoding": "gzip"})
    return Response(gzip.decompress(body), media_type="application/json", headers=headers)


async def _answer(request: Request, answer: Callable[[str], Awaitable[bytes | None]]) -> bytes | Response:
    """Return the answer for the run in the URL, or an error response."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return plain(403, "Only Maskloom's own pages may request this.")
    try:
        body = await answer(checked_id(request.path_params["run"]))
    except BadKey:
        body = None
    return plain(404, "There is no such run.") if body is None else body


ROUTES = [
    Route(f"{urls.PREFIX}/runs/{{run}}/live.json", live, methods=["GET"]),
    Route(f"{urls.PREFIX}/runs/{{run}}/epoch.json", news, methods=["GET"]),
]
