"""The client's side of a benchmark, in a process of its own: frames and requests made beforehand, answers only counted.

It costs a fraction of what any server does with them, so that the server is what is measured. Orders come as lines of
JSON on stdin, and each is answered with the seconds that it took. Bounded, and to this machine alone.
"""

from __future__ import annotations

import json
import os
import struct
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from subprocess import PIPE
from typing import Any

import attrs
import trio

from bench.ground import ALLOWED

HOST = "127.0.0.1"
SESSIONS = 64
WINDOW = 192
"""Frames on their way at once: what a stream does not read yet waits in the socket, so that it never waits for us."""

CONNECTIONS = 64
PIECE = 256 * 1024
LONGEST_S = 60.0
"""For one order: a server that hangs ends the benchmark."""


MCP = "/mcp"
MCP_REVISION = "2026-07-28"

EXPECTED = {
    "echo": b'"id"',
    "mcp": b'"isError":false',
    "post": b'"verdict":"ALLOW"',
    "post-echo": b'"tool"',
    "stream": b'"verdict":"ALLOW"',
}
"""What every answer to each kind of load holds."""


@attrs.frozen
class Order:
    """One slice of load: to whom, with which key, how much."""

    kind: str
    port: int
    key: str
    count: int


@attrs.frozen
class Load:
    """The other process."""

    process: trio.Process
    answers: AsyncIterator[bytes]

    async def seconds(self, kind: str, port: int, key: str, count: int) -> float:
        """Return how long the load took. Raises SystemExit where an answer was not as expected."""
        if self.process.stdin is None:
            raise SystemExit("the load has no ear")
        await self.process.stdin.send_all(json.dumps([kind, port, key, count]).encode() + b"\n")
        told = json.loads(await anext(self.answers))
        if "failed" in told:
            raise SystemExit(f"{kind}: {told['failed']}")
        return float(told["seconds"])


@asynccontextmanager
async def load() -> AsyncIterator[Load]:
    """Run the other process for as long as the block lasts."""
    async with trio.open_nursery() as nursery:
        command = [sys.executable, "-m", "bench.load"]
        process = await nursery.start(partial(trio.run_process, command, stdin=PIPE, stdout=PIPE))
        yield Load(process, lines(process.stdout))
        await process.stdin.aclose()


async def lines(stream: Any) -> AsyncIterator[bytes]:
    """Yield what comes line by line."""
    held = b""
    async for piece in stream:
        held += piece
        while b"\n" in held:
            line, _, held = held.partition(b"\n")
            yield line


def message(number: int) -> bytes:
    """Return one call, as a frame's text and, without the id, as a body."""
    call = {"id": str(number), "tool": "notes.read", "arguments": ALLOWED, "session_id": f"s{number % SESSIONS}"}
    return json.dumps(call, separators=(",", ":")).encode()


def body(number: int) -> bytes:
    """Return one call as a body of HTTP."""
    call = {"tool": "notes.read", "arguments": ALLOWED, "session_id": f"s{number % SESSIONS}"}
    return json.dumps(call, separators=(",", ":")).encode()


def mcp_body(number: int) -> bytes:
    """Return one call as a message of MCP, in its newest revision."""
    meta = {
        "helm/session_id": f"s{number % SESSIONS}",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/protocolVersion": MCP_REVISION,
    }
    params = {"_meta": meta, "arguments": ALLOWED, "name": "notes.read"}
    call = {"id": number, "jsonrpc": "2.0", "method": "tools/call", "params": params}
    return json.dumps(call, separators=(",", ":")).encode()


def masked(payload: bytes) -> bytes:
    """Return one text frame of a client (RFC 6455 section 5.3)."""
    key, length = os.urandom(4), len(payload)
    mask = int.from_bytes((key * (length // 4 + 1))[:length], "big")
    head = bytes([0x80 | length]) if length < 126 else b"\xfe" + struct.pack("!H", length)
    return b"\x81" + head + key + (int.from_bytes(payload, "big") ^ mask).to_bytes(length, "big")


class FrameConnection:
    """A WebSocket on which frames are sent as long as fewer than a window are unanswered."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self.held = b""

    async def upgrade(self, path: str, key: str) -> None:
        """Leave HTTP."""
        fields = [
            f"GET {path} HTTP/1.1",
            f"host: {HOST}",
            "upgrade: websocket",
            "connection: upgrade",
            "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
            "sec-websocket-version: 13",
            "sec-websocket-protocol: helm.stream.v1",
        ]
        fields += [f"authorization: Bearer {key}"] if key else []
        await self.stream.send_all("\r\n".join([*fields, "", ""]).encode())
        while b"\r\n\r\n" not in self.held:
            self.held += await self.stream.receive_some(PIECE)
        heading, _, self.held = self.held.partition(b"\r\n\r\n")
        if b" 101 " not in heading:
            raise ValueError(heading.decode())

    async def run(self, frames: list[bytes], expected: bytes) -> None:
        """Send the frames and take as many answers, each of which must hold what is expected."""
        sent = taken = 0
        while taken < len(frames):
            if (room := WINDOW - (sent - taken)) > 0 and sent < len(frames):
                await self.stream.send_all(b"".join(frames[sent : sent + room]))
                sent = min(sent + room, len(frames))
            piece = await self.stream.receive_some(PIECE)
            if not piece:
                raise ValueError("the server hung up")
            taken += self.take(piece, expected)

    def take(self, piece: bytes, expected: bytes) -> int:
        """Return how many answers `piece` completes."""
        held, at, taken = self.held + piece, 0, 0
        while len(held) - at >= 4:
            length, begin = held[at + 1], at + 2
            if length == 126:
                length, begin = int.from_bytes(held[at + 2 : at + 4], "big"), at + 4
            if len(held) < begin + length:
                break
            if held.find(expected, begin, begin + length) < 0:
                raise ValueError(held[begin : begin + length].decode())
            at, taken = begin + length, taken + 1
        self.held = held[at:]
        return taken


async def post(stream: trio.SocketStream, requests: list[bytes], expected: bytes) -> None:
    """Send one request after the other, and take its answer."""
    for request in requests:
        await stream.send_all(request)
        said = b""
        while b"\r\n\r\n" not in said:
            said += await some(stream)
        heading, _, answer = said.partition(b"\r\n\r\n")
        length = int(heading.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        while len(answer) < length:
            answer += await some(stream)
        if b" 200" not in heading[:16] or expected not in answer:
            raise ValueError(answer.decode())


async def some(stream: trio.SocketStream) -> bytes:
    """Return the next piece. Raises ValueError where there is none."""
    piece = bytes(await stream.receive_some(PIECE))
    if not piece:
        raise ValueError("the server hung up")
    return piece


def request(path: str, key: str, number: int) -> bytes:
    """Return one request to call a tool."""
    raw = mcp_body(number) if path == MCP else body(number)
    named = [f"mcp-protocol-version: {MCP_REVISION}", "mcp-method: tools/call", "mcp-name: notes.read"]
    fields = [
        f"POST {path} HTTP/1.1",
        f"host: {HOST}",
        f"authorization: Bearer {key}",
        "content-type: application/json",
        f"content-length: {len(raw)}",
        *(named if path == MCP else []),
    ]
    return "\r\n".join([*fields, "", ""]).encode() + raw


@attrs.define
class Loader:
    """Connections that stay open from order to order."""

    frames: dict[int, FrameConnection] = attrs.field(factory=dict)
    posts: dict[int, list[trio.SocketStream]] = attrs.field(factory=dict)

    async def obey(self, order: Order, stack: AsyncExitStack) -> float:
        """Return how many seconds the load of one order took."""
        expected = EXPECTED[order.kind]
        if order.kind in ("echo", "stream"):
            if order.port not in self.frames:
                self.frames[order.port] = connection = FrameConnection(await connected(order.port, stack))
                await connection.upgrade("/v1/stream", order.key)
            frames = [masked(message(number)) for number in range(order.count)]
            start = time.perf_counter()
            await self.frames[order.port].run(frames, expected)
            return time.perf_counter() - start
        if order.port not in self.posts:
            self.posts[order.port] = [await connected(order.port, stack) for _ in range(CONNECTIONS)]
        requests = [
            request(MCP if order.kind == "mcp" else "/v1/tools/execute", order.key, number)
            for number in range(order.count)
        ]
        start = time.perf_counter()
        async with trio.open_nursery() as nursery:
            for number, stream in enumerate(self.posts[order.port]):
                nursery.start_soon(post, stream, requests[number::CONNECTIONS], expected)
        return time.perf_counter() - start


async def connected(port: int, stack: AsyncExitStack) -> trio.SocketStream:
    """Return a connection that lasts as long as the stack."""
    return await stack.enter_async_context(await trio.open_tcp_stream(HOST, port))


async def main() -> None:
    """Obey order after order until stdin ends."""
    loader = Loader()
    async with AsyncExitStack() as stack:
        async for line in lines(trio.lowlevel.FdStream(os.dup(sys.stdin.fileno()))):
            order = Order(*json.loads(line))
            told: dict[str, object]
            try:
                with trio.fail_after(LONGEST_S):
                    told = {"seconds": await loader.obey(order, stack)}
            except* (OSError, ValueError, trio.TooSlowError) as group:
                told = {"failed": repr(group.exceptions)}
            print(json.dumps(told), flush=True)


if __name__ == "__main__":
    trio.run(main)
