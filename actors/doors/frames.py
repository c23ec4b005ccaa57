"""One stream's WebSocket frames: whole texts out of what arrives, within bounds that the protocol does not have."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final

import attrs
import trio
from wsproto.connection import Connection, ConnectionState
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, TextMessage

from actors.doors.bounds import Bounds

NORMAL: Final = 1000
PROTOCOL_ERROR: Final = 1002
NO_TEXT: Final = 1003
NO_UTF8: Final = 1007
FORBIDDEN: Final = 1008
TOO_BIG: Final = 1009
RESTART: Final = 1012
"""Close codes (RFC 6455 section 7.4.1, and IANA's registry for 1012)."""

ONE_BYTE, TWO_BYTES = 125, 65_535
"""Longest payloads whose length takes no more (RFC 6455 section 5.2)."""

MASKED: Final = 0x80
WHOLE_TEXT: Final = 0x81
"""First byte of a text message in one frame; the second one's highest bit says that a mask follows."""

SHORT_HEADER: Final = 8
"""Header and mask of a frame of at most 65,535 bytes."""


@attrs.frozen
class Ended(Exception):
    """Why a stream ends, as its client is told."""

    code: int
    reason: str = ""


@attrs.define(eq=False)
class Frames:
    """What the client's side of a stream has sent so far, cut into frames.

    A whole text in one frame, which nearly every message is, is unmasked here; every other frame is the library's to
    judge. Compression was not agreed on: nothing here inflates.
    """

    wire: Connection
    max_bytes: int
    bounds: Bounds
    due: bytearray = attrs.field(factory=bytearray, init=False)
    """Pongs that are to be sent."""
    torn_since: float | None = attrs.field(default=None, init=False)
    """When the message or frame began of which only a part is there, None while there is none."""
    _held: bytearray = attrs.field(factory=bytearray, init=False)
    _parts: list[str] = attrs.field(factory=list, init=False)
    _length: int = attrs.field(default=0, init=False)
    _second: float = attrs.field(default=0.0, init=False)
    _controls: int = attrs.field(default=0, init=False)

    def texts(self, data: bytes) -> Iterator[bytes]:
        """Yield the messages that `data` completes, in UTF-8. Raises Ended where the stream must not go on."""
        held, at = self._held, 0
        held += data
        try:
            while (found := self._frame(at)) is not None:
                start, (payload, at) = at, found
                if held[start] == WHOLE_TEXT and payload - start <= SHORT_HEADER and not self._parts:
                    self.torn_since = None
                    yield unmasked(held[payload - 4 : payload], held[payload:at])
                else:
                    yield from self._judged(bytes(held[start:at]))
        finally:
            del held[:at]
        if not held and not self._parts:
            self.torn_since = None
        elif self.torn_since is None:
            self.torn_since = trio.current_time()

    def _frame(self, at: int) -> tuple[int, int] | None:
        """Return where payload and end of the frame at `at` are, None while not all of it is there. Raises Ended."""
        held = self._held
        there = len(held) - at
        if there < 2:
            return None
        size, payload = held[at + 1], at + 6
        if size < MASKED:
            raise Ended(PROTOCOL_ERROR, "a client masks its frames")
        size -= MASKED
        if size > ONE_BYTE:
            more = 2 if size == ONE_BYTE + 1 else 8
            if there < 2 + more:
                return None
            size, payload = int.from_bytes(held[at + 2 : at + 2 + more], "big"), payload + more
            if size <= (ONE_BYTE if more == 2 else TWO_BYTES):
                raise Ended(PROTOCOL_ERROR, "a length is written in more bytes than it needs")
            if size > self.max_bytes:
                raise Ended(TOO_BIG, f"a message is longer than {self.max_bytes} bytes")
        return None if len(held) < payload + size else (payload, payload + size)

    def _judged(self, frame: bytes) -> Iterator[bytes]:
        """Yield the message that a frame completes, if it does, as the library reads it."""
        self.wire.receive_data(frame)
        for event in self.wire.events():
            match event:
                case TextMessage():
                    if (message := self._take(event)) is not None:
                        self.torn_since = None
                        yield message
                case Ping():
                    self._count()
                    self.due += self.wire.send(event.response())
                case Pong():
                    self._count()
                case BytesMessage():
                    raise Ended(NO_TEXT, "a message is JSON in a text frame")
                case CloseConnection():
                    raise Ended(event.code, event.reason or "")
                case _:
                    raise Ended(PROTOCOL_ERROR, "no frame of a stream")

    def _take(self, event: TextMessage) -> bytes | None:
        """Put a fragment to the others; return the message if it was the last one."""
        self._parts.append(event.data)
        self._length += len(event.data)
        if self._length > self.max_bytes:
            raise Ended(TOO_BIG, f"a message is longer than {self.max_bytes} bytes")
        if len(self._parts) > self.bounds.fragments:
            raise Ended(FORBIDDEN, f"a message came in more than {self.bounds.fragments} fragments")
        if not event.message_finished:
            return None
        message = "".join(self._parts).encode()
        self._parts, self._length = [], 0
        if len(message) > self.max_bytes:
            raise Ended(TOO_BIG, f"a message is longer than {self.max_bytes} bytes")
        return message

    def _count(self) -> None:
        """Raise Ended where more pings and pongs come in one second than anybody needs."""
        now = trio.current_time()
        if now - self._second >= 1.0:
            self._second, self._controls = now, 0
        self._controls += 1
        if self._controls > self.bounds.controls_per_s:
            raise Ended(FORBIDDEN, f"more than {self.bounds.controls_per_s} pings and pongs in a second")

    @property
    def is_open(self) -> bool:
        """Whether neither side has said that it is done."""
        return self.wire.state is ConnectionState.OPEN

    def ping(self) -> bytes:
        """Return a frame that the client must answer."""
        return bytes(self.wire.send(Ping()))

    def close(self, end: Ended) -> bytes:
        """Return the frame that ends the stream, or answers the client's own."""
        if self.wire.state is ConnectionState.REMOTE_CLOSING:
            return bytes(self.wire.send(CloseConnection(code=end.code)))
        return bytes(self.wire.send(CloseConnection(code=end.code, reason=end.reason))) if self.is_open else b""


def unmasked(key: bytearray, payload: bytearray) -> bytes:
    """Return what a client masked (RFC 6455 section 5.3). Raises Ended unless it is UTF-8."""
    size = len(payload)
    mask = int.from_bytes((key * (size // 4 + 1))[:size], "big")
    plain = (int.from_bytes(payload, "big") ^ mask).to_bytes(size, "big")
    try:
        plain.decode()
    except UnicodeDecodeError as problem:
        raise Ended(NO_UTF8, f"a message is no UTF-8 at byte {problem.start}") from problem
    return plain


def text_frame(payload: bytes) -> bytes:
    """Return UTF-8 as one whole text frame of a server, which masks nothing (RFC 6455 section 5.2 and 5.1)."""
    length = len(payload)
    if length <= ONE_BYTE:
        return b"\x81%c%b" % (length, payload)
    if length <= TWO_BYTES:
        return b"\x81\x7e%b%b" % (struct.pack("!H", length), payload)
    return b"\x81\x7f%b%b" % (struct.pack("!Q", length), payload)
