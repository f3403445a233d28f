"""Answers leave at once: what listens here does not hold back the second part of an answer."""

import socket
from contextlib import closing

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
