"""MCP over standard input and output: one message a line, several calls under way at once, answers as they are sealed.

There is one client, the process that started this one. When it closes our input, the calls under way are still
answered, and then the door closes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import attrs
import trio

from actors.doors.mcp import wire
from actors.doors.mcp.core import Core
from actors.doors.mcp.line import CallLine, Client
from actors.doors.mcp.wire import Fault, Message, Reply, Torn
from actors.keys.bearer import BearerKey

IN_FLIGHT: Final = 64
"""Messages under way at once; the next one is not read before one of them is answered (T4)."""

PIECE: Final = 65_536

WRITE_S: Final = 30.0
"""How long the client may take to read one answer; one that does not read is gone (T4)."""


class TooLong(Exception):
    """A line that is longer than any message."""


class NotRead(Exception):
    """The client does not read what it is told."""


@attrs.define(eq=False)
class StdioDoor:
    """The door of one client."""

    core: Core
    key: BearerKey
    """Whom the calls are judged as: a process is what whoever started it is."""
    client: Client = attrs.field(init=False)
    _sink: trio.abc.SendStream = attrs.field(init=False)
    _places: trio.Semaphore = attrs.field(factory=lambda: trio.Semaphore(IN_FLIGHT), init=False)
    _writing: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self.client = Client(self._say)

    async def serve(self, source: trio.abc.ReceiveStream, sink: trio.abc.SendStream) -> None:
        """Answer every message until the client closes its side. Raises TooLong, NotRead, BrokenResourceError."""
        self._sink = sink
        async with trio.open_nursery() as nursery:
            async for line in lines(source, self.core.max_bytes):
                message = self._read(line)
                if isinstance(message, Message):
                    self.client.hear(message)
                if isinstance(message, Reply):
                    self.client.answered(message)  # takes no place: a call that waits for it may hold the last one
                    continue
                await self._places.acquire()
                nursery.start_soon(self._exchange, line, message)
            self.client.leave()

    def _read(self, line: bytes) -> Message | Torn | Reply | Fault:
        try:
            return wire.read(line, self.core.max_bytes)
        except Fault as fault:
            return fault

    async def _exchange(self, line: bytes, message: Message | Torn | Fault) -> None:
        way_back: CallLine | None = None
        try:
            if isinstance(message, Fault):
                body = wire.refused(None, message)
            else:
                way_back = self._way_back(message)
                body = await self._answer(line, message, way_back)
        finally:
            if (
                isinstance(message, Message)
                and message.id is not None
                and self.client.lines.get(message.id) is way_back
            ):
                del self.client.lines[message.id]
            self._places.release()
        if body and not (way_back is not None and way_back.taken_back):  # MCP: what was cancelled is not answered
            await self._write(body)

    def _way_back(self, message: Message | Torn) -> CallLine | None:
        if not isinstance(message, Message) or message.id is None:
            return None
        try:
            way_back = self.core.line(self.key, self.client, message)
        except Fault:
            return None  # the core says why
        self.client.lines.setdefault(message.id, way_back)  # of two calls by one id, the first can be taken back
        return way_back

    async def _answer(self, line: bytes, message: Message | Torn, way_back: CallLine | None) -> bytes:
        try:
            return await self.core.answer(self.key, message, line, way_back)
        except Fault as fault:
            if isinstance(message, Message) and message.id is None:
                return b""  # JSON-RPC 2.0 section 4.1: nobody waits for the answer to a notification
            return wire.refused(message.id, fault)

    async def _write(self, body: bytes) -> None:
        """Write one message. Raises NotRead and BrokenResourceError."""
        with trio.move_on_after(WRITE_S) as patience:
            async with self._writing:
                await self._sink.send_all(body + b"\n")
        if patience.cancelled_caught:
            raise NotRead(f"a message was not read within {WRITE_S:g} s")

    async def _say(self, body: bytes) -> bool:
        """Write one message; return whether it was. Whoever is told so is no task of the door's, and ends no door."""
        try:
            await self._write(body)
        except (NotRead, trio.BrokenResourceError):
            return False
        return True


async def lines(source: trio.abc.ReceiveStream, max_bytes: int) -> AsyncIterator[bytes]:
    """Yield every line that holds anything. Raises TooLong; what is left of a line at the end is no message."""
    held = bytearray()
    while True:
        piece = await source.receive_some(PIECE)
        if not piece:
            return
        held += piece
        *whole, rest = held.split(b"\n")
        held = bytearray(rest)
        if len(held) > max_bytes or any(len(line) > max_bytes for line in whole):
            raise TooLong(f"a line of more than {max_bytes} bytes")
        for line in whole:
            if line.strip():
                yield bytes(line)
