"""No test leaves this machine."""

import socket

import pytest


@pytest.mark.parametrize("family", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_a_test_that_reaches_out_is_stopped(family: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, family) as sock, pytest.raises(RuntimeError, match="reach 192"):
        sock.connect(("192.0.2.1", 443))


def test_loopback_is_home() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
