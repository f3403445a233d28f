"""What a stranger sends to the running app: it stays reachable for others, and its log small."""

from __future__ import annotations

import contextlib
import http.client
import resource
import socket
import time
from collections.abc import Iterator

import pytest

from tests.support.entering import ACCESS_TOKEN
from tests.support.running_app import RunningApp, running

DESCRIPTORS, STRANGERS = 1024, 1100
HALF_A_HEAD = b"POST /access HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Le"
HALF_A_BODY = b"POST /access HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 100\r\n\r\ntoken="
NO_HTTP = b"\x16\x03\x01 this is no HTTP\r\n\r\n"


@contextlib.contextmanager
def descriptors(soft: int) -> Iterator[None]:
    """Limit the descriptors of this process and of those that it starts."""
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    with contextlib.ExitStack() as stack:
        with descriptors(DESCRIPTORS):
            app = stack.enter_context(running(tmp_path_factory.mktemp("shared") / "data", ACCESS_TOKEN=ACCESS_TOKEN))
        yield app


def port_of(app: RunningApp) -> int:
    return int(app.address.rpartition(":")[2])


def ask(app: RunningApp, method: str, path: str, body: bytes | None = None) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port_of(app), timeout=30)
    with contextlib.closing(connection):
        connection.request(method, path, body, {"Content-Type": "application/x-www-form-urlencoded"})
        return connection.getresponse().status


@pytest.mark.parametrize("sent", [HALF_A_HEAD, HALF_A_BODY, b""], ids=["head", "body", "nothing"])
def test_the_app_answers_while_a_stranger_holds_more_connections_than_it_has_descriptors(app, sent):
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < 2 * STRANGERS:
        pytest.skip("this machine allows too few descriptors for a test of too many")
    log_bytes = app.log.stat().st_size
    with contextlib.ExitStack() as stack:
        for _ in range(STRANGERS):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", port_of(app)), timeout=30))
            with contextlib.suppress(OSError):  # it was closed already
                connection.sendall(sent)
        for _ in range(20):
            assert ask(app, "GET", "/_stcore/health") == 200
        assert ask(app, "POST", "/access", f"token={ACCESS_TOKEN}".encode()) == 303
    assert app.log.stat().st_size - log_bytes < 50_000


def test_a_request_that_does_not_come_is_ended(app):
    with socket.create_connection(("127.0.0.1", port_of(app)), timeout=60) as connection:
        connection.sendall(HALF_A_HEAD)
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(1) == b""


def test_a_stranger_cannot_fill_the_log(app):
    logs = app.installation.settings.data_root / "logs"
    before = app.log.stat().st_size + sum(path.stat().st_size for path in logs.iterdir())
    began = time.monotonic()
    for _ in range(300):
        for sent in (NO_HTTP, HALF_A_BODY):
            with socket.create_connection(("127.0.0.1", port_of(app)), timeout=30) as connection:
                connection.sendall(sent)
        assert ask(app, "GET", "/datasets") == 401
        assert ask(app, "POST", "/access", b"token=wrong") in (401, 429)
    seconds = time.monotonic() - began
    grown = app.log.stat().st_size + sum(path.stat().st_size for path in logs.iterdir()) - before
    assert grown < 2000 * (seconds + 2), "some lines a second, however many requests"


def test_wrong_tokens_are_limited_over_all_addresses_and_the_right_one_never(app):
    found = []
    for number in range(40):
        connection = http.client.HTTPConnection("127.0.0.1", port_of(app), timeout=30)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Forwarded-For": f"203.0.113.{number}"}
        connection.request("POST", "/access", b"token=wrong", headers)
        found.append(connection.getresponse().status)
        connection.close()
    assert found[-1] == 429
    assert ask(app, "POST", "/access", f"token={ACCESS_TOKEN}".encode()) == 303
