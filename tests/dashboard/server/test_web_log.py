"""What the web process logs: real requests to a real server, and pages that raise."""

import itertools
import json
import logging

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from dashboard.server import web_log
from dashboard.server.routes import ROUTES
from engine.core import logs
from tests.support import serving as serving_module
from tests.support.serving import serving


def broken(request):
    raise ZeroDivisionError("password=hunter2")


@pytest.fixture
def logged(dashboard):
    """Return a function that reads what was logged."""
    web_log.begin()
    yield lambda: [
        json.loads(line)
        for path in (dashboard.files.root / "logs").glob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if handler.name in (logs.NAME, web_log.CONSOLE)]:
        root.removeHandler(handler)
        handler.close()


def test_requests_that_were_refused_or_failed_are_logged_without_query_or_token(dashboard, logged, monkeypatch):
    routes = [*ROUTES, Route("/broken", broken), Route("/fine", lambda request: PlainTextResponse("fine"))]
    seconds = itertools.count().__next__
    app = Starlette(routes=routes, middleware=[Middleware(web_log.RequestLog, clock=seconds)])
    monkeypatch.setattr(serving_module, "Starlette", lambda routes: app)
    token = "ab" * 16
    with serving() as served:
        assert served.ask("/fine?token=hunter2").status == 200
        assert served.ask(f"/files/preview/{'0' * 32}?token=hunter2").status == 404
        assert served.ask(f"/files/uploads/{token}", method="POST").status == 403
        assert served.ask("/broken?token=hunter2").status == 500
    found = logged()
    told = [(entry["event"], entry["text"]) for entry in found]
    assert told[0][0] == "web_started"
    assert ("request_refused", f"GET /files/preview/{'0' * 32} was answered with 404.") in told
    assert ("request_refused", "POST /files/uploads/*** was answered with 403.") in told
    assert ("request_failed", "GET /broken failed.") in told
    assert "hunter2" not in json.dumps(found) and token not in json.dumps(found)
    assert not any("/fine" in text for _, text in told)
    assert any("ZeroDivisionError" in entry.get("trace", "") for entry in found)


def test_refused_requests_are_logged_once_a_second(dashboard, logged, monkeypatch):
    now = [0.0]
    app = Starlette(routes=ROUTES, middleware=[Middleware(web_log.RequestLog, clock=lambda: now[0])])
    monkeypatch.setattr(serving_module, "Starlette", lambda routes: app)
    with serving() as served:
        for now[0] in (0.0, 0.4, 0.8, 1.2):
            assert served.ask(f"/files/preview/{'0' * 32}").status == 404
    lines = [entry["text"] for entry in logged() if entry["event"] == "request_refused"]
    path = f"GET /files/preview/{'0' * 32} was answered with 404."
    assert lines == [path, f"{path} 2 more were refused since the line before."]


def test_a_page_that_raises_is_logged_with_its_trace(logged):
    try:
        raise KeyError("a page's mistake")
    except KeyError as error:
        assert web_log.page_failed(error) is None
    entry = logged()[-1]
    assert (entry["event"], entry["level"], entry["process"]) == ("page_failed", "ERROR", "web")
    assert "a page's mistake" in entry["trace"]
