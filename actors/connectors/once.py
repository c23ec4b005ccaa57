"""Connections that carry one exchange each and are then closed.

HTTP/1.1 tells an answer's call by its place on the connection and by nothing else. What a server sends behind one
answer would be read as the answer to the next request: bytes that lie in the reader's buffer or below TLS, where no
look at the socket finds them, and an answer that is on its way when the next request leaves, which no look at all
can tell from that request's own. So no connection is used again (T5, T9). The price is a connect, and over TLS a
handshake, per exchange.
"""

from __future__ import annotations

import ssl
from typing import Final

import httpcore2

CLOSE: Final = (b"connection", b"close")
"""The header that every request carries: the server knows, and the transport closes even what the pool would keep."""


def one_exchange_each(
    network: httpcore2.AsyncNetworkBackend, *, ssl_context: ssl.SSLContext, max_connections: int
) -> httpcore2.AsyncConnectionPool:
    """Return a pool that bounds how many exchanges are under way, and keeps no connection of any."""
    return httpcore2.AsyncConnectionPool(
        ssl_context=ssl_context,
        max_connections=max_connections,
        max_keepalive_connections=0,
        network_backend=network,
    )


def trusted_over(scheme: str) -> ssl.SSLContext:
    """Return what TLS trusts: what this machine does, and nobody where only plain HTTP is spoken, which needs no look
    at the machine's certificates."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT) if scheme == "http" else ssl.create_default_context()
