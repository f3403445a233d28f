"""A real server for our routes, and one request to it."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware

from dashboard.access.gate import Gate
from dashboard.access.token_route import TOKEN_ROUTES
from dashboard.pages import page_routes
from dashboard.server.routes import ROUTES


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Served:
    """The address of a running server."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        """Send one request; `sec_fetch_site="none"` becomes the header Sec-Fetch-Site."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        response = connection.getresponse()
        answer = Answer(
            response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
        )
        connection.close()
        return answer


def serving() -> AbstractContextManager[Served]:
    """Serve the routes on a free port for as long as the block runs."""
    return _serving(Starlette(routes=[*page_routes(), *ROUTES]))


def guarded_serving() -> AbstractContextManager[Served]:
    """Serve the routes behind the gate, as the app has them."""
    return _serving(Starlette(routes=[*page_routes(), *ROUTES, *TOKEN_ROUTES], middleware=[Middleware(Gate)]))


@contextmanager
def _serving(app: Starlette) -> Iterator[Served]:
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Served(server.servers[0].sockets[0].getsockname()[1])
    server.should_exit = True
    thread.join()
