"""The routes that every open page of a run polls: its progress once or twice a second, and the news of an epoch.

Polling with a fragment would run a script each time. These answers are cached and shared, and a page runs its script
only when the run reaches another stage (docs/adr/0008-live-pages.md).
"""

from __future__ import annotations

import gzip
import json
from dataclasses import asdict

import streamlit as st
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dashboard.server import resources
from dashboard.server.guard import get, guarded, share
from dashboard.views.runs.curves import MOST_SMOOTHING, CurveSettings, latest_news
from dashboard.views.runs.facts import live_status
from dashboard.views.runs.live_facts import snapshot
from db.columns import utc_now
from engine.store.keys import checked_id

FRESH_S = 0.25
MOST_CACHED = 64
LONGEST_VERSION = 100


@st.cache_resource(ttl=FRESH_S, max_entries=MOST_CACHED, show_spinner=False)
def read_live(run_id: str) -> bytes | None:
    """Return a run's `Snapshot` as JSON, None if it does not exist. Concurrent requests share one read."""
    with resources.database().reading() as session:
        status = live_status(session, run_id, utc_now(), resources.settings().lost_after_s)
    return None if status is None else json.dumps(asdict(snapshot(status))).encode()


@st.cache_resource(max_entries=MOST_CACHED, show_spinner=False)
def read_news(run_id: str, log_scale: bool, smoothing: float, version: str) -> bytes | None:
    """Return a run's `News` as compressed JSON, None if it does not exist.

    The answer is at least as new as `version`, so it never expires.
    """
    latest = latest_news(run_id, CurveSettings(log_scale, smoothing))
    return None if latest is None else gzip.compress(json.dumps(asdict(latest)).encode(), 6)


@guarded
def live(request: Request) -> Response:
    return _json(read_live(checked_id(request.path_params["run"])))


@guarded
def news(request: Request) -> Response:
    smoothing = min(round(share(request, "smoothing", 0.0), 2), MOST_SMOOTHING)
    version = request.query_params.get("version", "")[:LONGEST_VERSION]
    log_scale = request.query_params.get("log") == "1"
    packed = read_news(checked_id(request.path_params["run"]), log_scale, smoothing, version)
    if packed and "gzip" in request.headers.get("accept-encoding", ""):
        return _json(packed, {"Vary": "Accept-Encoding", "Content-Encoding": "gzip"})
    return _json(gzip.decompress(packed) if packed else None, {"Vary": "Accept-Encoding"})


def _json(body: bytes | None, headers: dict[str, str] | None = None) -> Response:
    if body is None:
        raise HTTPException(404, "There is no such run.")
    return Response(body, media_type="application/json", headers={"Cache-Control": "no-store", **(headers or {})})


ROUTES = [get("runs/{run}/live.json", live), get("runs/{run}/epoch.json", news)]
