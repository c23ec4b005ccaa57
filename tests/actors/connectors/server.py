"""A server on loopback that answers with the bytes it was given, and remembers what it was asked."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from functools import partial

import attrs
import trio

Answer = bytes | Callable[[trio.abc.Stream], Awaitable[None]]


def ok(body: bytes, *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """Return a response with this body."""
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@attrs.define
class Server:
    """Answers each request on every connection in the same way."""

    answer: Answer
    tls: ssl.SSLContext | None = None
    port: int = 0
    requests: list[bytes] = attrs.field(factory=list)
    connections: int = 0

    async def start(self, nursery: trio.Nursery) -> Server:
        """Listen on a free loopback port."""
        serve = partial(trio.serve_tcp, self._serve, 0, host="127.0.0.1")
        listeners = await nursery.start(serve)
        self.port = listeners[0].socket.getsockname()[1]
        return self

    async def _serve(self, raw: trio.SocketStream) -> None:
        self.connections += 1
        stream: trio.abc.Stream = raw
        if self.tls is not None:
            stream = trio.SSLStream(raw, self.tls, server_side=True, https_compatible=True)
        try:
            while request := await _read_request(stream):
                self.requests.append(request)
                if isinstance(self.answer, bytes):
                    await stream.send_all(self.answer)
                else:
                    await self.answer(stream)
        except trio.BrokenResourceError:
            pass  # the client left: that is what some tests are about
        await trio.aclose_forcefully(stream)


async def _read_request(stream: trio.abc.Stream) -> bytes:
    request = b""
    while b"\r\n\r\n" not in request:
        chunk = await stream.receive_some(65536)
        if not chunk:
            return b""
        request += chunk
    head, _, body = request.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        body += await stream.receive_some(65536)
    return head + b"\r\n\r\n" + body
