"""MCP over standard input and output: one message a line, several calls under way at once, answers as they are sealed.

There is one client, the process that started this one. When it closes our input, the calls under way are still
answered, and then the door closes.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import attrs
import trio

from actors.bearer import BearerKey
from actors.doors.mcp import wire
from actors.doors.mcp.core import Core
from actors.doors.mcp.wire import Fault, Message, Torn

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
    _places: trio.Semaphore = attrs.field(factory=lambda: trio.Semaphore(IN_FLIGHT), init=False)
    _writing: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    async def serve(self, source: trio.abc.ReceiveStream, sink: trio.abc.SendStream) -> None:
        """Answer every message until the client closes its side. Raises TooLong, NotRead, BrokenResourceError."""
        async with trio.open_nursery() as nursery:
            async for line in lines(source, self.core.max_bytes):
                await self._places.acquire()
                nursery.start_soon(self._exchange, line, sink)

    async def _exchange(self, line: bytes, sink: trio.abc.SendStream) -> None:
        try:
            body = await self._answer(line)
        finally:
            self._places.release()
        if body:
            with trio.move_on_after(WRITE_S) as patience:
                async with self._writing:
                    await sink.send_all(body + b"\n")
            if patience.cancelled_caught:
                raise NotRead(f"an answer was not read within {WRITE_S:g} s")

    async def _answer(self, line: bytes) -> bytes:
        message: Message | Torn | None = None
        try:
            message = wire.read(line, self.core.max_bytes)
            return await self.core.answer(self.key, message, line)
        except Fault as fault:
            if isinstance(message, Message) and message.id is None:
                return b""  # JSON-RPC 2.0 section 4.1: nobody waits for the answer to a notification
            return wire.refused(message.id if message is not None else None, fault)


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
