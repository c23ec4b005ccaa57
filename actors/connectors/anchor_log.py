"""A log that takes anchors over HTTP: one POST, one answer, over a network that checks where it goes.

No redirects, no environment, no unpacking, one exchange per connection: what the other connectors do not take either.
"""

from __future__ import annotations

import ssl
from contextlib import aclosing

import httpcore2

from actors.connectors.http import CheckedNetwork
from actors.connectors.once import CLOSE, one_exchange_each
from actors.connectors.port import NotDispatched
from actors.connectors.resolver import Resolver, system_resolver
from helm.evidence.anchor_port import MAX_ANSWER_BYTES, LogTarget
from helm.guardian.destination import DEFAULT_PORTS

TRANSPORT_ERRORS = (
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.ProtocolError,
    httpcore2.UnsupportedProtocol,
    OSError,
)


class AnchorFailed(Exception):
    """A target did not take the anchor, or nobody knows. The words are ours: they repeat nothing that a server said."""


class AnchorLog:
    """Asks one log. The deadline is its caller's cancel scope."""

    def __init__(
        self,
        target: LogTarget,
        *,
        allow_private: bool,
        resolver: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._target = target
        self._pool = one_exchange_each(
            CheckedNetwork(resolver or system_resolver(), allow_private=allow_private),
            ssl_context=ssl_context or ssl.create_default_context(),
            max_connections=1,
        )

    async def post(self, statement: bytes) -> bytes:
        """Send one anchor and return the log's answer. Raises AnchorFailed, whatever the server does."""
        try:
            async with self._pool.stream("POST", self._url(), headers=self._headers(), content=statement) as response:
                return await answer_of(response)
        except NotDispatched as refusal:
            raise AnchorFailed(refusal.reason) from refusal
        except TRANSPORT_ERRORS as failure:
            raise AnchorFailed(f"no answer: {type(failure).__name__}") from failure

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()

    def _url(self) -> httpcore2.URL:
        to = self._target.origin
        return httpcore2.URL(
            scheme=to.scheme.encode(), host=to.host.encode(), port=self._port(), target=self._target.path.encode()
        )

    def _port(self) -> int:
        return self._target.origin.port or DEFAULT_PORTS[self._target.origin.scheme]

    def _headers(self) -> list[tuple[bytes, bytes]]:
        to = self._target.origin
        host = f"[{to.host}]" if ":" in to.host else to.host
        named = host if self._port() == DEFAULT_PORTS[to.scheme] else f"{host}:{self._port()}"
        return [
            (b"host", named.encode()),
            (b"accept-encoding", b"identity"),
            CLOSE,
            (b"content-type", b"application/json"),
            (b"user-agent", b"helm"),
        ]


async def answer_of(response: httpcore2.Response) -> bytes:
    """Return the bytes of an answer that says that the anchor was taken. Raises AnchorFailed."""
    if response.status not in (200, 201, 202):
        redirect = "; redirects are not followed" if 300 <= response.status < 400 else ""
        raise AnchorFailed(f"HTTP {response.status}{redirect}")
    body = bytearray()
    async with aclosing(response.aiter_stream()) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > MAX_ANSWER_BYTES:
                raise AnchorFailed(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
    return bytes(body)
