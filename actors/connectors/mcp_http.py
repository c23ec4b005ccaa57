"""An MCP server by its address: the official SDK's streamable HTTP, over a network that checks where it goes.

The SDK writes and reads the messages; what is below them is ours. A governed request takes none of the liberties of an
HTTP client: redirects, cookies, proxies and credentials from the environment, unpacking. Each request has a connection
of its own: `actors.connectors.once` says why. Nothing raises here but a cancellation, because whatever a transport
raises ends the SDK's connection and all that is under way on it.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from contextvars import ContextVar
from typing import Any, Final

import attrs
import httpcore2
import httpx2
from mcp.client.streamable_http import streamable_http_client

from actors.connectors.http import CheckedNetwork, what_is_known
from actors.connectors.once import CLOSE, one_exchange_each, trusted_over
from actors.connectors.port import ConnectorFailed, ConnectorUnknown, NotDispatched
from actors.connectors.resolver import Resolver, system_resolver
from helm.contracts.errors import Invalid
from helm.guardian.connection import McpConnection

MAX_CONNECTIONS: Final = 64
"""Connections to one server at a time: calls, and the stream on which it speaks first (T4)."""

CONNECT_S: Final = 10.0
"""For a free connection, TCP and TLS each; a call whose own time ends earlier ends earlier."""

ENVELOPE_BYTES: Final = 64 * 1024
"""What may stand around a result in its message, and of what else is said before it on the same stream (T4)."""

STREAM_BYTES: Final = 16 * 1024 * 1024
"""All that may come on the stream that answers one request, progress included (T4)."""

KEPT: Final = frozenset({b"content-type", b"mcp-session-id"})
"""Headers of an answer that the SDK is shown: no location to follow, no cookie to keep, no coding to unpack."""

TROUBLE: Final = -32000
"""Of JSON-RPC's codes, the one in which the SDK tells its caller of what `Departure` knows better."""

Pool = httpcore2.AsyncConnectionPool
Problem = ConnectorFailed | ConnectorUnknown | NotDispatched

Note = Callable[[str], None]
"""Told of every exchange that failed, in words of our own: the SDK mixes them with the server's."""


def unnoted(said: str, /) -> None:
    """Tell nobody."""


@attrs.define(eq=False)
class Departure:
    """What is known of one governed request: whether it may have begun to leave, and what went wrong, if anything."""

    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    """What the request carries beside what the SDK says."""
    begun: bool = False
    problem: Problem | None = None
    """One of the port's three."""

    async def __call__(self, step: str, _: Mapping[str, Any]) -> None:
        """Hear of each of httpcore2's steps."""
        if step == "http11.send_request_headers.started":
            self.begun = True


UNDERWAY: ContextVar[Departure | None] = ContextVar("UNDERWAY", default=None)
"""The request of the task that sends: the SDK hands its sender's context on to whatever sends it."""


@asynccontextmanager
async def open_address(
    connection: McpConnection,
    environment: Mapping[str, str],
    *,
    resolver: Resolver | None = None,
    ssl_context: ssl.SSLContext | None = None,
    note: Note = unnoted,
) -> AsyncIterator[Any]:
    """Connect to a server and yield the SDK's two streams. Raises Invalid for a token that is not set."""
    pool = one_exchange_each(
        CheckedNetwork(resolver or system_resolver(), allow_private=connection.allow_private),
        ssl_context=ssl_context or trusted_over(connection.url.partition(":")[0].lower()),
        max_connections=MAX_CONNECTIONS,
    )
    wire = Wire(pool, token_of(connection, environment), connection.max_response_bytes + ENVELOPE_BYTES, note)
    async with (
        httpx2.AsyncClient(
            transport=wire, trust_env=False, timeout=None, headers={"user-agent": "helm", "accept-encoding": "identity"}
        ) as client,
        streamable_http_client(connection.url, http_client=client, max_sse_event_size=STREAM_BYTES) as streams,
    ):
        yield streams


def token_of(connection: McpConnection, environment: Mapping[str, str]) -> str:
    """Return the token for an address, "" where it takes none. Raises Invalid without a word of what it holds."""
    if not connection.bearer:
        return ""
    token = environment.get(connection.bearer, "")
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        where = f"server {connection.name}"
        raise Invalid(f"the variable {connection.bearer} holds no token", where, f"set {connection.bearer}")
    return token


@attrs.define(eq=False)
class Wire(httpx2.AsyncBaseTransport):
    """Sends what the SDK says, and tells what is known of it to the `Departure` under way."""

    pool: Pool
    token: str = attrs.field(repr=False)
    max_bytes: int
    note: Note

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the answer to one request, one of our own where none came."""
        departure = UNDERWAY.get() or Departure()
        if request.method != "POST":
            departure = Departure()
        try:
            answer = await self.pool.handle_async_request(self._outbound(request, departure))
        except NotDispatched as refusal:
            return self._told(departure, of_call(refusal, departure))
        except TRANSPORT_ERRORS as error:
            return self._told(departure, what_is_known(error, request.url.host, sent=departure.begun))
        if answer.status >= 400 and request.method == "POST":
            self.note(f"HTTP {answer.status}")
        headers = [(name, value) for name, value in answer.headers if name.lower() in KEPT]
        pieces = Pieces(answer, departure, self.max_bytes, self._limit(request, headers))
        problem = misfit(answer) if request.method == "POST" else None
        if answer.status == 202 and UNDERWAY.get() is not None:
            problem = ConnectorUnknown("HTTP 202: taken, and no answer follows")
        if problem is not None:
            await pieces.aclose()
            return self._told(departure, problem)
        return httpx2.Response(answer.status, headers=headers, stream=pieces)

    def _told(self, departure: Departure, problem: Problem) -> httpx2.Response:
        self.note(problem.reason)
        return told(departure, problem)

    def _outbound(self, request: httpx2.Request, departure: Departure) -> httpcore2.Request:
        url = request.url
        headers = [(name, value) for name, value in request.headers.raw if name.lower() != CLOSE[0]] + [CLOSE]
        if self.token:
            headers.append((b"authorization", f"Bearer {self.token}".encode()))
        headers += [(name.encode(), value.encode()) for name, value in departure.headers.items()]
        timeout = {"pool": CONNECT_S, "connect": CONNECT_S}
        return httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=headers,
            content=request.stream,
            extensions={"timeout": timeout, "trace": departure},
        )

    def _limit(self, request: httpx2.Request, headers: list[tuple[bytes, bytes]]) -> float:
        is_stream = any(b"event-stream" in value.lower() for name, value in headers if name.lower() == b"content-type")
        if not is_stream:
            return self.max_bytes
        return STREAM_BYTES if request.method == "POST" else float("inf")

    async def aclose(self) -> None:
        """Close every connection."""
        await self.pool.aclose()


@attrs.define(eq=False)
class Pieces(httpx2.AsyncByteStream):
    """The body of an answer, as much of it as may come."""

    answer: httpcore2.Response
    departure: Departure
    line_limit: int
    """Of one line: what holds one message on a stream, and all of an answer that is none."""
    limit: float

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield what comes. Raises StreamError, which ends one exchange and no connection of the SDK's."""
        came = line = 0
        try:
            async with aclosing(self.answer.aiter_stream()) as pieces:
                async for piece in pieces:
                    came += len(piece)
                    at = piece.rfind(b"\n")
                    line = line + len(piece) if at < 0 else len(piece) - at
                    if came > self.limit or line > self.line_limit:
                        raise ConnectorUnknown("an answer longer than it may be")
                    yield piece
        except TRANSPORT_ERRORS as error:
            self.departure.problem = ConnectorUnknown(f"the answer was cut off: {type(error).__name__}")
            raise httpx2.StreamError("cut off") from error
        except ConnectorUnknown as problem:
            self.departure.problem = problem
            raise httpx2.StreamError("too long") from problem

    async def aclose(self) -> None:
        """Let the connection go."""
        await self.answer.aclose()


TRANSPORT_ERRORS: Final = (
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.ProtocolError,
    httpcore2.UnsupportedProtocol,
)


def misfit(answer: httpcore2.Response) -> Problem | None:
    """Return what is known of a call whose answer the SDK must not be shown, None for one that it may read."""
    headers = {name.lower(): value.strip().lower() for name, value in answer.headers}
    if headers.get(b"content-encoding", b"identity") != b"identity":
        return ConnectorUnknown(f"HTTP {answer.status} with an answer in a coding that was not asked for")
    if 300 <= answer.status < 400:
        return ConnectorFailed(f"HTTP {answer.status}; redirects are not followed")
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip()
    if answer.status >= 400 and kind != b"application/json":
        return ConnectorFailed(f"HTTP {answer.status}")
    if answer.status < 300 and answer.status != 202 and kind not in (b"application/json", b"text/event-stream"):
        return ConnectorUnknown(f"HTTP {answer.status} with an answer that is neither JSON nor a stream of events")
    return None


def of_call(refusal: NotDispatched, departure: Departure) -> Problem:
    """Return what a request that was refused before its first byte tells of its call, which may be of several."""
    if departure.begun:
        return ConnectorUnknown(f"{refusal.reason}, after another request of the call had begun to leave")
    return refusal


def told(departure: Departure, problem: Problem) -> httpx2.Response:
    """Note what became of a request, and return it as the answer that lets the SDK end this one and no other."""
    departure.problem = problem
    error = {"code": TROUBLE, "message": str(problem)}
    return httpx2.Response(503, json={"jsonrpc": "2.0", "id": None, "error": error})
