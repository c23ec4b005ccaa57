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
FORBIDDEN: Final = 1008
TOO_BIG: Final = 1009
BROKEN: Final = 1011
RESTART: Final = 1012
"""Close codes (RFC 6455 section 7.4.1, and IANA's registry for 1012). 1007, for what is no UTF-8, is wsproto's."""

ONE_BYTE, TWO_BYTES = 125, 65_535
"""Longest payloads whose length takes no more (RFC 6455 section 5.2)."""


@attrs.frozen
class Ended(Exception):
    """Why a stream ends, as its client is told."""

    code: int
    reason: str = ""


@attrs.define(eq=False)
class Frames:
    """What the client's side of a stream has sent so far. Compression was not agreed on: nothing here inflates."""

    wire: Connection
    max_bytes: int
    bounds: Bounds
    due: bytearray = attrs.field(factory=bytearray, init=False)
    """Pongs that are to be sent."""
    torn_since: float | None = attrs.field(default=None, init=False)
    """When the message began of which only a part is there, None while there is none."""
    _parts: list[str] = attrs.field(factory=list, init=False)
    _length: int = attrs.field(default=0, init=False)
    _second: float = attrs.field(default=0.0, init=False)
    _controls: int = attrs.field(default=0, init=False)

    def texts(self, data: bytes) -> Iterator[bytes]:
        """Yield the messages that `data` completes, in UTF-8. Raises Ended where the stream must not go on."""
        self.wire.receive_data(data)
        for event in self.wire.events():
            match event:
                case TextMessage():
                    if (message := self._take(event)) is not None:
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
        """Put a piece to the others; return the message if it was the last one."""
        self._parts.append(event.data)
        self._length += len(event.data)
        if self._length > self.max_bytes:
            raise Ended(TOO_BIG, f"a message is longer than {self.max_bytes} bytes")
        if len(self._parts) > self.bounds.pieces:
            raise Ended(FORBIDDEN, f"a message came in more than {self.bounds.pieces} pieces")
        if not event.message_finished:
            if self.torn_since is None:
                self.torn_since = trio.current_time()
            return None
        message = "".join(self._parts).encode()
        self._parts, self._length, self.torn_since = [], 0, None
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


def text_frame(payload: bytes) -> bytes:
    """Return UTF-8 as one whole text frame of a server, which masks nothing (RFC 6455 section 5.2 and 5.1)."""
    length = len(payload)
    if length <= ONE_BYTE:
        return b"\x81%c%b" % (length, payload)
    if length <= TWO_BYTES:
        return b"\x81\x7e%b%b" % (struct.pack("!H", length), payload)
    return b"\x81\x7f%b%b" % (struct.pack("!Q", length), payload)
