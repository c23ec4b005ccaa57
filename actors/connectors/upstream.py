"""The model's side: one origin, asked over a checked network, whose answers come in pieces.

It shares the HTTP connector's checks of addresses, and its liberties not taken: no redirects, no environment, no
unpacking. Each exchange has a connection of its own: `actors.connectors.once` says why.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from types import TracebackType

import attrs
import httpcore2
import trio

from actors.connectors.exchange import Exchange, Headers, Plain, Wire, connect, secured
from actors.connectors.once import CLOSE, trusted_over
from actors.connectors.port import NotDispatched
from actors.connectors.resolver import Resolver, addresses_of, system_resolver
from helm.openai.upstream import Place

MAX_CONNECTIONS = 64
"""Exchanges at a time; the proxy has as many places, so that nobody waits for one (T4)."""

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
        self.under_way = 0
        """Requests whose connection there is, or is to be."""
        self._resolver = resolver or system_resolver()
        self._tls = ssl_context or trusted_over(place.scheme)
        self._tls.set_alpn_protocols(["http/1.1"])

    def ask(self, method: str, path: str, headers: Headers, body: bytes | None) -> Asking:
        """Return a request to `path` below the base URL; to enter it is to send it."""
        said = [(b"host", self.place.authority.encode()), (b"accept-encoding", b"identity"), CLOSE, *headers]
        if body is not None:
            said.append((b"content-length", b"%d" % len(body)))
        return Asking(self, method, self.place.path + path, said, body or b"")

    async def connected(self) -> Wire:
        """Return a connection of its own to the origin. Raises httpcore2's errors, and NotDispatched."""
        if self.under_way > MAX_CONNECTIONS:
            raise httpcore2.PoolTimeout("every connection is taken: nobody waits for one")
        place = self.place
        with trio.move_on_after(CONNECT_S) as patience:
            addresses = await addresses_of(place.host, self._resolver, allow_private=place.allow_private)
            connected = await connect(addresses, place.port)
            if place.scheme == "http":
                return Plain(connected)
            patience.deadline = trio.current_time() + CONNECT_S
            return await secured(connected, self._tls, place.host)
        raise httpcore2.ConnectTimeout(f"{place.origin} did not accept in time")


@attrs.define(eq=False)
class Asking:
    """One request: within it the answer comes in, and the connection ends with it.

    Raises UpstreamFailed where no whole answer comes, also while its pieces come in.
    """

    _upstream: Upstream
    _method: str
    _target: str
    _headers: Headers
    _body: bytes
    _wire: Wire | None = attrs.field(default=None, init=False)

    async def __aenter__(self) -> Incoming:
        """Send the request, and return its answer as soon as the heading is there."""
        self._upstream.under_way += 1
        try:
            self._wire = await self._upstream.connected()
            exchange = Exchange(self._wire)
            response = await exchange.ask(self._method, self._target, self._headers, self._body)
            return Incoming(response.status_code, response.headers, exchange)
        except BaseException as failure:
            self._end(failure)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, failure: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let go of the connection."""
        self._end(failure)

    def _end(self, failure: BaseException | None) -> None:
        """Raises UpstreamFailed where it ended by what an exchange fails by."""
        self._upstream.under_way -= 1
        if self._wire is not None:
            self._wire.close()
        if isinstance(failure, TRANSPORT_ERRORS):
            what = f"{type(failure).__name__} at {self._upstream.place.origin}"
            raise UpstreamFailed(what, sent=not isinstance(failure, BEFORE_SENDING)) from failure
        if isinstance(failure, NotDispatched):
            raise UpstreamFailed(failure.reason, sent=False) from failure
