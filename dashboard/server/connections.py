"""How connections are accepted, kept and answered: within limits that a stranger cannot exhaust, and at once.

Streamlit makes the server and its socket and hands neither to anybody, so that what is not given has to be found. Its
server, uvicorn, limits neither the time of a request's head nor the connections of an address.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import sys
import time
from functools import partial
from ipaddress import IPv6Address, ip_address
from typing import Any

from uvicorn import Config
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_S = 15.0
"""Time for the head of a request, from its first byte or the start of the connection."""
BODY_S = 60.0
"""Time without a byte of a body."""
SHARE_OF_DESCRIPTORS = 0.5
SHARE_IN_ONE_GO = 0.5
"""Of these, how many are accepted before they are counted. Python 3.11 logs each one that it has no descriptor for."""
SHARE_CLOSED = 0.05
"""Of the connections of an address, or of all, how many are closed where there are too many."""
MOST_CONNECTIONS = 4096
NOISY = ("uvicorn.error", "asyncio")
"""Loggers of what strangers can cause at will."""


def answer_at_once() -> int:
    """Turn Nagle's algorithm off on the sockets that this process listens on; return how many there are.

    Every answer is written in two parts, headers and body, and with that algorithm the second part waits until the
    browser has acknowledged the first, which it puts off by 40 ms: a gallery page of 144 pictures took a second longer.
    asyncio turns it off by itself only where a socket names TCP as its protocol, and Streamlit's does not. Connections
    inherit it from the socket that accepts them.
    """
    listening = [found for found in gc.get_objects() if isinstance(found, socket.socket) and _listens(found)]
    for each in listening:
        each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return len(listening)


def _listens(found: socket.socket) -> bool:
    if found.fileno() < 0 or found.family not in (socket.AF_INET, socket.AF_INET6) or found.type != socket.SOCK_STREAM:
        return False
    return bool(found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def limit() -> int:
    """Limit the connections of the servers that are starting in this process, and what they log; return how many."""
    configs = [found for found in gc.get_objects() if isinstance(found, Config)]
    most = most_connections()
    for config in configs:
        config.http_protocol_class = partial(Limited, most=most)  # type: ignore[assignment]
        config.backlog = min(config.backlog, int(most * SHARE_IN_ONE_GO))
    for name in NOISY:
        logger = logging.getLogger(name)
        if not any(isinstance(each, OnceASecond) for each in logger.filters):
            logger.addFilter(OnceASecond())
    return len(configs)


def most_connections() -> int:
    """Return how many connections may be open at once: the rest of the descriptors is for files."""
    if sys.platform == "win32":
        return MOST_CONNECTIONS
    import resource

    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return min(int(descriptors * SHARE_OF_DESCRIPTORS), MOST_CONNECTIONS)


class Limited(H11Protocol):
    """A connection that ends when its request does not come, and makes room when there are too many.

    Another machine may have half of all connections; this one, with the proxy that runs on it, all of them. Where there
    are too many, those that wait longest for the head or the body of a request are closed, or else the new one.
    """

    def __init__(self, *arguments: Any, most: int, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._most = most
        self._timer: asyncio.TimerHandle | None = None
        self._since = time.monotonic()

    @property
    def waits(self) -> bool:
        """Whether no request is being answered: its head has not come."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._arm(HEAD_S)
        address = _address(transport)
        local = address is not None and ip_address(address).is_loopback
        if not local:
            _make_room(
                [each for each in self.connections if _address(each.transport) == address], self._most // 2, self
            )
        _make_room(list(self.connections), self._most, self)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:  # now a WebSocket
            self._disarm()
        elif not self.waits:
            self._arm(BODY_S)
        elif self._timer is None:
            self._arm(HEAD_S)

    def on_response_complete(self) -> None:
        self._disarm()  # until the next byte uvicorn's own time for idle connections counts
        super().on_response_complete()

    def handle_websocket_upgrade(self, event: Any) -> None:
        self._disarm()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._since = time.monotonic()
        self._timer = self.loop.call_later(seconds, self._give_up)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        self._timer = None
        if self.waits:
            self.transport.abort()
        elif self.cycle.more_body:
            # What this process has not read yet is not the sender's fault
            if self.flow.read_paused:
                self._arm(BODY_S)
            else:
                self.transport.abort()


def _address(transport: Any) -> str | None:
    """Return the address of the other side; a network of IPv6 addresses, which one person can have, is one."""
    peer = transport.get_extra_info("peername") if transport else None
    if not peer:
        return None
    address = ip_address(str(peer[0]).partition("%")[0])
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or IPv6Address(int(address) >> 64 << 64 if not address.is_loopback else 1))
    return str(address)


def _make_room(connections: list[Any], most: int, newest: Limited) -> None:
    """Close those that wait longest for a request, or the newest, if more than `most` are open."""
    if len(connections) <= most:
        return
    still_open = [each for each in connections if not each.transport.is_closing()]
    if len(still_open) <= most:
        return
    waiting = [each for each in still_open if isinstance(each, Limited) and (each.waits or each.cycle.more_body)]
    waiting.sort(key=lambda each: each._since)
    for each in waiting[: max(int(most * SHARE_CLOSED), 1)] or [newest]:
        each.transport.abort()


class OnceASecond(logging.Filter):
    """Lets a message of one wording through once a second."""

    def __init__(self) -> None:
        super().__init__()
        self._last: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now, wording = time.monotonic(), str(record.msg)[:100]
        if now - self._last.get(wording, -1.0) < 1:
            return False
        if len(self._last) > 1000:
            self._last.clear()
        self._last[wording] = now
        return True
