"""An HTTP service as tools.

Written on httpcore2, the transport below httpx2, because everything that layer adds is a liberty that a
governed request must not take: redirects, cookies, proxies and credentials from the environment, unpacking.
What is known of a request that fails depends on one fact: whether its first byte may have left. Each request has a
connection of its own: `actors.connectors.once` says why, and what it costs.
"""

from __future__ import annotations

import base64
import re
import ssl
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from types import MappingProxyType
from typing import Any

import httpcore2
import trio

from actors.connectors.once import CLOSE, one_exchange_each, trusted_over
from actors.connectors.port import (
    PERMIT_HEADER,
    ConnectorFailed,
    ConnectorUnknown,
    Dispatch,
    NotDispatched,
    Unreachable,
)
from actors.connectors.request import OutboundRequest, check_operation, make_request
from actors.connectors.resolver import Resolver, addresses_of, system_resolver
from actors.connectors.trouble import cause_of
from helm.contracts.errors import Invalid, Malformed, Refused
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import parse
from helm.guardian.connection import HttpConnection
from helm.guardian.destination import Destination, normalise

MAX_CONNECTIONS = 64
"""Connections of one service at a time; more callers wait for one, within their deadline (T4)."""

ADDRESS_S = 3.0
"""How long one address may take to accept a connection before the next is tried."""

STEP_SHARE = 0.25
"""Share of a tool's time for each of the three steps before the request: a free connection, TCP, TLS. A step
that takes longer ends the call while it is still certain that nothing was sent."""

_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110 5.6.2
_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_OURS = re.compile(
    r"host|content-.*|transfer-encoding|connection|te|trailer|upgrade|expect|accept-encoding|idempotency-key"
    r"|proxy-.*|traceparent|x-helm-.*",
    re.IGNORECASE,
)

_TRANSPORT_ERRORS = (
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.ProtocolError,
    httpcore2.UnsupportedProtocol,
)


class HttpConnector:
    """Sends one request per order to a checked address, and takes only strict JSON for an answer.

    What the policy pins of the service is in the connection; secret_headers are what it must not hold.
    """

    def __init__(
        self,
        connection: HttpConnection,
        *,
        secret_headers: Mapping[str, str] = MappingProxyType({}),
        resolver: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._connection = connection
        self._origin = _origin_of(connection)
        for name, operation in connection.operations.items():
            check_operation(name, operation, has_origin=self._origin is not None)
        self._fixed_headers = _checked_headers(connection.headers) | _checked_headers(secret_headers)
        self._pool = one_exchange_each(
            CheckedNetwork(resolver or system_resolver(), allow_private=connection.allow_private),
            ssl_context=ssl_context or trusted_over(self._origin.scheme if self._origin else ""),
            max_connections=MAX_CONNECTIONS,
        )

    async def dispatch(self, order: Dispatch, /) -> JSONValue:
        """Send the request that the order asks for and return its JSON answer, None for 204."""
        name = order.operation or order.tool
        operation = self._connection.operations.get(name)
        if operation is None:
            raise NotDispatched(ReasonCode.POLICY_NOT_READY, f"the service has no operation {name!r}")
        request = make_request(order, operation, self._origin)
        try:
            return await self._asked(order, request)
        except Unreachable as refusal:
            if self._origin:
                raise
            # Where the caller chose to go, one place of many is no trouble of the connector's.
            raise NotDispatched(refusal.code, refusal.reason) from refusal

    async def _asked(self, order: Dispatch, request: OutboundRequest) -> JSONValue:
        departure = _Departure()
        try:
            async with self._exchange(order, request, departure) as response:
                return await self._answer(response)
        except _TRANSPORT_ERRORS as error:
            raise what_is_known(error, str(request.destination), sent=departure.begun) from error

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()

    def _exchange(
        self, order: Dispatch, request: OutboundRequest, departure: _Departure
    ) -> AbstractAsyncContextManager[httpcore2.Response]:
        to, step_s = request.destination, order.timeout_ms / 1000 * STEP_SHARE
        return self._pool.stream(
            request.method,
            httpcore2.URL(
                scheme=to.scheme.encode(), host=to.host.encode(), port=to.port, target=request.target.encode()
            ),
            headers=[*self._headers(order, request), CLOSE],
            content=request.body,
            extensions={"timeout": {"pool": step_s, "connect": step_s}, "trace": departure},
        )

    def _headers(self, order: Dispatch, request: OutboundRequest) -> list[tuple[bytes, bytes]]:
        headers = {"accept": "application/json", "user-agent": "helm"}
        headers |= self._fixed_headers
        headers |= {"host": request.host, "accept-encoding": "identity"}
        headers["x-helm-decision-id"] = order.decision_id
        if request.body is not None:
            headers["content-type"] = "application/json"
        if order.idempotency_key:
            headers["idempotency-key"] = _header_value(order.idempotency_key)
        if order.traceparent:
            headers["traceparent"] = order.traceparent
        if order.permit is not None:
            headers[PERMIT_HEADER] = base64.urlsafe_b64encode(order.permit).decode()
        return [(name.encode(), value.encode()) for name, value in headers.items()]

    async def _answer(self, response: httpcore2.Response) -> JSONValue:
        if not 200 <= response.status < 300:
            redirect = "; redirects are not followed" if 300 <= response.status < 400 else ""
            raise ConnectorFailed(f"HTTP {response.status}{redirect}")
        if response.status == 204:
            return None
        body = await self._body(response)
        try:
            return parse(body, max_bytes=self._connection.max_response_bytes)
        except Malformed as problem:
            raise ConnectorUnknown(f"HTTP {response.status} with an answer that is no JSON: {problem}") from problem

    async def _body(self, response: httpcore2.Response) -> bytes:
        headers = {name.lower(): value for name, value in response.headers}
        limit = self._connection.max_response_bytes
        # Nothing was asked to be compressed, and nothing is decompressed: a small answer stays small (T4).
        if headers.get(b"content-encoding", b"identity").strip().lower() != b"identity":
            raise ConnectorUnknown(f"HTTP {response.status} with an answer in a coding that was not asked for")
        body = bytearray()
        async with aclosing(response.aiter_stream()) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > limit:
                    raise ConnectorUnknown(f"HTTP {response.status} with an answer longer than {limit} bytes")
        return bytes(body)


class _Departure:
    """Remembers whether a request's first byte may have left: httpcore2 calls this with each of its steps."""

    def __init__(self) -> None:
        self.begun = False

    async def __call__(self, step: str, _: Mapping[str, Any]) -> None:
        if step == "http11.send_request_headers.started":
            self.begun = True


class CheckedNetwork(httpcore2.AsyncNetworkBackend):
    """Connects only to addresses that were checked; Host and SNI stay the name's."""

    def __init__(self, resolver: Resolver, *, allow_private: bool) -> None:
        self._resolver = resolver
        self._allow_private = allow_private
        self._network = httpcore2.TrioBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore2's
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        with trio.move_on_after(float("inf") if timeout is None else timeout):
            addresses = await addresses_of(host, self._resolver, allow_private=self._allow_private)
            return await self._first_that_accepts(addresses, port)
        raise httpcore2.ConnectTimeout(f"no address of {host} accepted in time")

    async def _first_that_accepts(self, addresses: Sequence[str], port: int) -> httpcore2.AsyncNetworkStream:
        for address in addresses[:-1]:
            try:
                return await self._network.connect_tcp(address, port, timeout=ADDRESS_S)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout):
                continue
        return await self._network.connect_tcp(addresses[-1], port)


def _origin_of(connection: HttpConnection) -> Destination | None:
    if not connection.origin:
        return None
    where = f"origin {connection.origin!r}"
    try:
        origin = normalise(connection.origin)
    except Refused as refused:
        raise Invalid(refused.reason, where) from refused
    if origin.scheme not in ("http", "https"):
        raise Invalid("not http://host[:port] or https://host[:port]", where)
    return origin


def _checked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise Invalid("not a header of plain ASCII", f"header {name!r}")
        if _OURS.fullmatch(name):
            raise Invalid("this header is HELM's to set", f"header {name!r}", "leave it out")
    return {name.lower(): value for name, value in headers.items()}


def _header_value(text: str) -> str:
    if not _HEADER_VALUE.fullmatch(text):
        raise NotDispatched(ReasonCode.SCHEMA_VIOLATION, "the idempotency key does not fit into a header")
    return text


def what_is_known(error: Exception, where: str, *, sent: bool) -> ConnectorUnknown | NotDispatched:
    """Return what an exchange that ended in `error` tells of its effect."""
    cause = cause_of(error)
    what = f"{where}: {type(error).__name__}" + (f" ({cause})" if cause else "")
    if sent:
        return ConnectorUnknown(f"{what} after the request had begun to leave")
    timed_out = isinstance(error, httpcore2.TimeoutException)
    code = ReasonCode.ERR_CONNECTOR_TIMEOUT if timed_out else ReasonCode.ERR_CONNECTOR_ERROR
    kind = NotDispatched if isinstance(error, httpcore2.PoolTimeout) else Unreachable  # its own calls fill it
    return kind(code, f"{what} before anything was sent")
