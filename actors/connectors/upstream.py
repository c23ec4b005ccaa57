"""The model's side: one origin, asked over a checked network, whose answers come in pieces.

It shares the HTTP connector's network, and its liberties not taken: no redirects, no environment, no unpacking.
Each exchange has a connection of its own: `actors.connectors.once` says why.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

import attrs
import httpcore2

from actors.connectors.http import CheckedNetwork
from actors.connectors.once import CLOSE, one_exchange_each, trusted_over
from actors.connectors.port import NotDispatched
from actors.connectors.resolver import Resolver, system_resolver
from helm.openai.upstream import Place

MAX_CONNECTIONS = 64
"""Exchanges at a time; the proxy has as many places (T4)."""

CONNECT_S = 10.0
"""For TCP and TLS each."""

TRANSPORT_ERRORS = (
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.ProtocolError,
    httpcore2.UnsupportedProtocol,
)

BEFORE_SENDING = (
    httpcore2.ConnectError,
    httpcore2.ConnectTimeout,
    httpcore2.PoolTimeout,
    httpcore2.UnsupportedProtocol,
)
"""Of these, what ends an exchange before its first byte leaves; after any other it may have left."""


class UpstreamFailed(Exception):
    """No whole answer came. `sent` says whether the request may have reached the model, and may be charged."""

    def __init__(self, what: str, *, sent: bool) -> None:
        super().__init__(what)
        self.sent = sent


@attrs.frozen(eq=False)
class Incoming:
    """An answer on its way: status and headers are there, the body comes in `pieces`."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    pieces: AsyncIterator[bytes]

    def header(self, name: bytes) -> str:
        """Return a header's value in lower case, every one of them where it stands more than once."""
        return ",".join(value.decode("latin-1") for found, value in self.headers if found.lower() == name).lower()


class Upstream:
    """Sends requests to one origin."""

    def __init__(
        self, place: Place, *, resolver: Resolver | None = None, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self.place = place
        self._pool = one_exchange_each(
            CheckedNetwork(resolver or system_resolver(), allow_private=place.allow_private),
            ssl_context=ssl_context or trusted_over(place.scheme),
            max_connections=MAX_CONNECTIONS,
        )

    @asynccontextmanager
    async def ask(
        self, method: str, path: str, headers: Sequence[tuple[bytes, bytes]], body: bytes | None
    ) -> AsyncIterator[Incoming]:
        """Send one request to `path` below the base URL. Raises UpstreamFailed, also while its pieces come in."""
        place = self.place
        url = httpcore2.URL(
            scheme=place.scheme.encode(), host=place.host.encode(), port=place.port, target=(place.path + path).encode()
        )
        said = [(b"host", place.authority.encode()), (b"accept-encoding", b"identity"), CLOSE, *headers]
        timeouts = {"pool": CONNECT_S, "connect": CONNECT_S}
        try:
            async with (
                self._pool.stream(
                    method, url, headers=said, content=body, extensions={"timeout": timeouts}
                ) as response,
                aclosing(response.aiter_stream()) as pieces,
            ):
                yield Incoming(response.status, response.headers, pieces)
        except TRANSPORT_ERRORS as error:
            sent = not isinstance(error, BEFORE_SENDING)
            raise UpstreamFailed(f"{type(error).__name__} at {place.origin}", sent=sent) from error
        except NotDispatched as refusal:
            raise UpstreamFailed(refusal.reason, sent=False) from refusal

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()
