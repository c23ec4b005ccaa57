"""The way out of the client under Trio: httpx2's own leaves a generator open where an answer is not read to its end."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

import attrs
import httpcore2
import httpx2

CUT_OFF: Final = (
    httpcore2.NetworkError,
    httpcore2.TimeoutException,
    httpcore2.ProtocolError,
    httpcore2.UnsupportedProtocol,
)


@attrs.define(eq=False)
class Pieces(httpx2.AsyncByteStream):
    """The body of an answer, every generator of which is closed where its reader stops."""

    answer: httpcore2.Response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async with aclosing(self.answer.aiter_stream()) as pieces:
                async for piece in pieces:
                    yield piece
        except CUT_OFF as problem:
            raise httpx2.TransportError(str(problem) or type(problem).__name__) from problem

    async def aclose(self) -> None:
        """Let the connection go."""
        await self.answer.aclose()


class Wire(httpx2.AsyncBaseTransport):
    """Connections to one kernel."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._pool = httpcore2.AsyncConnectionPool(ssl_context=tls)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return the answer to one request. Raises TransportError where none came."""
        url = request.url
        sent = httpcore2.Request(
            method=request.method,
            url=httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
            extensions=request.extensions,
        )
        try:
            answer = await self._pool.handle_async_request(sent)
        except CUT_OFF as problem:
            raise httpx2.TransportError(str(problem) or type(problem).__name__) from problem
        return httpx2.Response(answer.status, headers=answer.headers, stream=Pieces(answer))

    async def aclose(self) -> None:
        """Close every connection."""
        await self._pool.aclose()
