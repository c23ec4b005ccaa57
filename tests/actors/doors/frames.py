"""A client of streams that is as rude as a test wants it: raw frames on a raw socket."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import trio

from tests.actors.doors.street import SOON_S, Street

FIN, TEXT, BINARY, CONTINUED, CLOSE, PING, PONG = 0x80, 1, 2, 0, 8, 9, 10
KEY = b"\x37\xfa\x21\x3d"


def frame(payload: bytes, first: int = FIN | TEXT, mask: bytes = KEY) -> bytes:
    """Return one frame of a client (RFC 6455 section 5.2); no mask makes it one that no client may send."""
    size, bit = len(payload), 0x80 if mask else 0
    if size < 126:
        head = bytes([first, bit | size])
    elif size < 65_536:
        head = bytes([first, bit | 126]) + struct.pack("!H", size)
    else:
        head = bytes([first, bit | 127]) + struct.pack("!Q", size)
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload)) if mask else payload
    return head + mask + masked


def upgrade(
    key: str, *fields: str, protocol: str = "helm.stream.v1", method: str = "GET", version: str = "13"
) -> bytes:
    """Return a request to become a stream."""
    lines = [
        f"{method} /v1/stream HTTP/1.1",
        "host: helm",
        "connection: upgrade",
        "upgrade: websocket",
        "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==",
        f"sec-websocket-version: {version}",
        *([f"sec-websocket-protocol: {protocol}"] if protocol else []),
        *([f"authorization: Bearer {key}"] if key else []),
        *fields,
    ]
    return "\r\n".join([*lines, "", ""]).encode()


@attrs.define(eq=False)
class Raw:
    """One stream, frame by frame."""

    stream: trio.SocketStream
    held: bytes = b""

    async def say(self, **members: Any) -> None:
        """Send one message."""
        await self.push(frame(json.dumps(members).encode()))

    async def push(self, raw: bytes) -> None:
        """Send bytes as they are, as far as the door takes them."""
        try:
            await self.stream.send_all(raw)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async def frame(self) -> tuple[int, bytes] | None:
        """Return opcode and payload of the next frame, None where the door has hung up."""
        with trio.fail_after(SOON_S):
            while (found := self._cut()) is None:
                try:
                    piece = await self.stream.receive_some()
                except trio.BrokenResourceError:
                    return None
                if not piece:
                    return None
                self.held += bytes(piece)
        return found

    def _cut(self) -> tuple[int, bytes] | None:
        size, at = (self.held[1], 2) if len(self.held) > 1 else (0, 2)
        if size > 125:
            more = 2 if size == 126 else 8
            size, at = int.from_bytes(self.held[2 : 2 + more], "big"), 2 + more
        if len(self.held) < at + size:
            return None
        opcode, payload = self.held[0] & 15, self.held[at : at + size]
        self.held = self.held[at + size :]
        return opcode, payload

    async def heard(self) -> dict[str, Any]:
        """Return the next message."""
        found = await self.frame()
        assert found is not None and found[0] == TEXT, found
        message: dict[str, Any] = json.loads(found[1])
        return message

    async def end(self) -> tuple[int, str]:
        """Return code and reason with which the door ends the stream, whatever it says before."""
        while (found := await self.frame()) is not None:
            if found[0] == CLOSE:
                assert await self.frame() is None, "something behind the last word"
                return int.from_bytes(found[1][:2], "big"), found[1][2:].decode()
        return 1006, ""


@asynccontextmanager
async def rude(street: Street, key: str | None = None) -> AsyncIterator[Raw]:
    """Yield a stream, by default one of acme's agent."""
    async with street.connected() as client:
        await client.stream.send_all(upgrade(street.agent if key is None else key))
        raw = Raw(client.stream)
        with trio.fail_after(SOON_S):
            while b"\r\n\r\n" not in raw.held:
                raw.held += bytes(await client.stream.receive_some())
        heading, _, raw.held = raw.held.partition(b"\r\n\r\n")
        assert heading.startswith(b"HTTP/1.1 101 ")
        assert b"sec-websocket-extensions" not in heading.lower()
        yield raw
