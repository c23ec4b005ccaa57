"""A decision point over HTTP: one question, one answer in bytes, over a network that checks where it goes.

It shares the HTTP connector's network, and its liberties not taken: no redirects, no environment, no unpacking. What
the answer says is not read here. Each question has a connection of its own: `actors.connectors.once` says why.
"""

from __future__ import annotations

import ssl
from contextlib import aclosing

import httpcore2
import trio

from actors.connectors.http import CheckedNetwork
from actors.connectors.once import CLOSE, one_exchange_each
from actors.connectors.port import NotDispatched
from actors.connectors.resolver import Resolver, system_resolver
from helm.guardian.destination import DEFAULT_PORTS, normalise
from helm.guardian.opa import body_of, target_of
from helm.guardian.points import OpaPoint

MAX_TOKEN_BYTES = 8 * 1024
"""Longest bearer token: servers take no longer header (T4)."""

MAX_READERS = 4
"""Threads that read a token: a file system that does not answer holds these and no more (T4)."""

TRANSPORT_ERRORS = (
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.ProtocolError,
    httpcore2.UnsupportedProtocol,
)


class PointFailed(Exception):
    """No answer came. The words are ours: they repeat nothing that the server said."""


class OpaClient:
    """Asks one server. The deadline is its caller's cancel scope."""

    def __init__(self, point: OpaPoint, *, resolver: Resolver | None = None) -> None:
        """Raises PointFailed for certificates that are none."""
        self._point = point
        self._origin = normalise(point.origin)
        self._readers = trio.CapacityLimiter(MAX_READERS)
        self._pool = one_exchange_each(
            CheckedNetwork(resolver or system_resolver(), allow_private=point.allow_private),
            ssl_context=trusting(point.ca_pem),
            max_connections=point.places,
        )

    async def ask(self, request: bytes) -> bytes:
        """Send one question and return the answer's bytes. Raises PointFailed, whatever the server does."""
        headers = await self._headers()
        try:
            async with self._pool.stream("POST", self._url(), headers=headers, content=body_of(request)) as response:
                return await self._answer(response)
        except NotDispatched as refusal:
            raise PointFailed(refusal.reason) from refusal
        except PointFailed:
            raise
        except TRANSPORT_ERRORS as error:
            raise PointFailed(f"no answer: {type(error).__name__}") from error
        except Exception as failure:  # whatever a server makes the transport raise, it ends no kernel
            raise PointFailed(f"no answer: {type(failure).__name__}") from failure

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()

    def _url(self) -> httpcore2.URL:
        to = self._origin
        target = target_of(self._point).encode()
        return httpcore2.URL(scheme=to.scheme.encode(), host=to.host.encode(), port=to.port, target=target)

    async def _headers(self) -> list[tuple[bytes, bytes]]:
        to = self._origin
        host = f"[{to.host}]" if ":" in to.host else to.host
        named = host if to.port == DEFAULT_PORTS[to.scheme] else f"{host}:{to.port}"
        headers = [
            (b"host", named.encode()),
            (b"accept", b"application/json"),
            (b"accept-encoding", b"identity"),
            CLOSE,
            (b"content-type", b"application/json"),
            (b"user-agent", b"helm"),
        ]
        if self._point.token_file:
            headers.append((b"authorization", b"Bearer " + await read_token(self._point.token_file, self._readers)))
        return headers

    async def _answer(self, response: httpcore2.Response) -> bytes:
        if response.status != 200:
            redirect = "; redirects are not followed" if 300 <= response.status < 400 else ""
            raise PointFailed(f"HTTP {response.status}{redirect}")
        headers = {name.lower(): value.strip().lower() for name, value in response.headers}
        if headers.get(b"content-encoding", b"identity") != b"identity":
            raise PointFailed("the answer is in a coding that was not asked for")
        if headers.get(b"content-type", b"").partition(b";")[0].strip() != b"application/json":
            raise PointFailed("the answer is not declared as JSON")
        limit, body = self._point.max_response_bytes, bytearray()
        async with aclosing(response.aiter_stream()) as chunks:
            async for chunk in chunks:
                body += chunk
                if len(body) > limit:
                    raise PointFailed(f"the answer is longer than {limit} bytes")
        return bytes(body)


def trusting(ca_pem: str) -> ssl.SSLContext:
    """Return whose certificates count: the pinned ones alone, or the system's. Raises PointFailed."""
    try:
        return ssl.create_default_context(cadata=ca_pem or None)
    except (ssl.SSLError, ValueError) as problem:
        raise PointFailed("ca_pem holds no certificates that can be read") from problem


async def read_token(path: str, readers: trio.CapacityLimiter) -> bytes:
    """Return the token of a file, read anew for each question: tokens are rotated. Raises PointFailed."""
    try:
        token = (await trio.to_thread.run_sync(first_bytes, path, abandon_on_cancel=True, limiter=readers)).strip()
    except OSError as problem:
        raise PointFailed(f"the token cannot be read: {type(problem).__name__}") from problem
    if not token or len(token) > MAX_TOKEN_BYTES or any(byte < 0x21 or byte > 0x7E for byte in token):
        raise PointFailed("the token file holds no token")
    return token


def first_bytes(path: str) -> bytes:
    """Return the beginning of a file, and not all of what may be no token at all."""
    with open(path, "rb") as file:
        return file.read(MAX_TOKEN_BYTES + 2)
