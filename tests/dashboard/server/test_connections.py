"""Answers leave at once: what listens here does not hold back the second part of an answer."""

import logging
import socket
import threading
import time
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial

import pytest
import uvicorn
from websockets.sync.client import connect

from dashboard.server import connections


def no_delay(found: socket.socket) -> bool:
    return bool(found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))


def test_connections_inherit_it_from_a_socket_that_listens_already():
    with closing(socket.socket()) as listening:  # as Streamlit makes it, without naming TCP
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        assert not no_delay(listening)
        assert connections.answer_at_once() >= 1
        with closing(socket.create_connection(listening.getsockname())):
            accepted, _ = listening.accept()
            with closing(accepted):
                assert no_delay(accepted)


def test_other_sockets_are_left_alone():
    with closing(socket.socket()) as idle, closing(socket.socket(type=socket.SOCK_DGRAM)):
        connections.answer_at_once()
        assert not no_delay(idle)


async def yes(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
    await send({"type": "http.response.body", "body": b"yes"})


@contextmanager
def limited(most: int, app=yes, ws="none"):
    """Serve an app with at most so many connections; yield its port."""
    http = partial(connections.Limited, most=most)
    config = uvicorn.Config(app, port=0, log_level="error", ws=ws, lifespan="off", http=http, timeout_keep_alive=60)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


def test_a_web_socket_has_no_time_limit(monkeypatch):
    made = []
    real = connections.Limited.connection_made
    monkeypatch.setattr(
        connections.Limited, "connection_made", lambda self, transport: (made.append(self), real(self, transport))
    )

    async def app(scope, receive, send):
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": (await receive())["text"]})
        await receive()

    with limited(20, app, ws="auto") as port, connect(f"ws://127.0.0.1:{port}") as opened:
        opened.send("still there?")
        assert opened.recv() == "still there?"
        assert [each._timer for each in made] == [None]


def open_ones(held: list[socket.socket]) -> list[bool]:
    found = []
    for each in held:
        each.setblocking(False)
        try:
            found.append(each.recv(1) != b"")
        except BlockingIOError:
            found.append(True)
        except ConnectionError:
            found.append(False)
    return found


def test_an_address_has_half_of_all_connections_and_this_machine_all(monkeypatch):
    elsewhere = "203.0.113.7"  # as which 127.0.0.2 stands in
    real = connections._address
    monkeypatch.setattr(connections, "_address", lambda each: elsewhere if real(each) == "127.0.0.2" else real(each))
    with limited(20) as port, ExitStack() as stack:
        mine = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(5)]
        theirs = []
        for _ in range(30):
            each = socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0))
            theirs.append(stack.enter_context(each))
            with suppress(ConnectionError):
                each.sendall(b"GET / HTTP/1.1\r\nHo")
        for each in mine:
            each.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert each.recv(12) == b"HTTP/1.1 200"
        found = open_ones(theirs)
        assert sum(found) == 10 and all(found[-10:]), "the oldest were closed"


def test_the_oldest_that_waits_makes_room():
    with limited(20) as port, ExitStack() as stack:
        held = [stack.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(40)]
        held[-1].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert held[-1].recv(12) == b"HTTP/1.1 200"
        found = open_ones(held[:-1])
        assert 15 <= sum(found) <= 19 and not any(found[:20])


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        (("192.0.2.1", 5), "192.0.2.1"),
        (("::ffff:192.0.2.1", 5, 0, 0), "192.0.2.1"),
        (("2001:db8:1:2:3:4:5:6", 5, 0, 0), "2001:db8:1:2::"),
        (("fe80::1%eth0", 5, 0, 2), "fe80::"),
        (("::1", 5, 0, 0), "::1"),
        (None, None),
    ],
)
def test_a_network_of_ipv6_addresses_counts_as_one(peer, address):
    class Transport:
        def get_extra_info(self, name):
            return peer

    assert connections._address(Transport()) == address


def test_a_message_that_strangers_cause_is_logged_once_a_second(monkeypatch):
    now = 0.0
    monkeypatch.setattr(connections.time, "monotonic", lambda: now)
    once = connections.OnceASecond()
    record = logging.LogRecord("uvicorn.error", logging.WARNING, "", 0, "Invalid HTTP request received.", (), None)
    other = logging.LogRecord("uvicorn.error", logging.INFO, "", 0, "Started.", (), None)
    assert [once.filter(record), once.filter(record), once.filter(other)] == [True, False, True]
    now = 1.0
    assert once.filter(record)
