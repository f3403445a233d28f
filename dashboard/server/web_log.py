"""What the web process logs: its start and end, requests that failed, and pages that raised an exception."""

from __future__ import annotations

import logging
import platform
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any

from dashboard.server import resources
from engine import VERSION
from engine.core import logs

log = logging.getLogger("maskloom.web")

CONSOLE = "maskloom-console"
LONGEST_PATH = 200
PROBE = "/_stcore/"
"""Below a page's address the browser looks for Streamlit in vain at every visit, before it asks the right place."""


def begin() -> None:
    """Start the structured log of this process. What it warns of is still printed as well."""
    root = logging.getLogger()
    if not any(handler.name == CONSOLE for handler in root.handlers):
        console = logging.StreamHandler()
        console.set_name(CONSOLE)
        console.setLevel(logging.WARNING)
        root.addHandler(console)
    logs.configure("web", resources.settings())
    log.info(
        "Maskloom %s on Python %s and Streamlit %s started.",
        VERSION,
        platform.python_version(),
        metadata.version("streamlit"),
        extra={"event": "web_started"},
    )


def end() -> None:
    log.info("The web process ended.", extra={"event": "web_ended"})


def page_failed(error: Exception) -> None:
    """Log what a page raised."""
    log.error("A page failed: %s", type(error).__name__, exc_info=error, extra={"event": "page_failed"})


class RequestLog:
    """ASGI middleware: logs requests that were refused or failed, by method and path.

    The query is left out: it may hold what nobody else should read.
    """

    def __init__(self, app: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._clock = app, clock
        self._logged_at, self._more = -1.0, 0

    def _refused(self, what: str, status: int) -> None:
        """Log a refused request, at most one a second: everybody can send those, and old lines make room for new."""
        now = self._clock()
        if now - self._logged_at < 1:
            self._more += 1
            return
        also = f" {self._more} more were refused since the line before." if self._more else ""
        self._logged_at, self._more = now, 0
        log.info("%s was answered with %d.%s", what, status, also, extra={"event": "request_refused"})

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        what = f"{scope['method']} {scope['path'][:LONGEST_PATH]}"

        async def watched(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400 and PROBE not in what:
                if message["status"] >= 500:
                    fields = {"event": "request_failed"}
                    log.error("%s was answered with %d.", what, message["status"], extra=fields)
                else:
                    self._refused(what, message["status"])
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            log.exception("%s failed.", what, extra={"event": "request_failed"})
            raise
