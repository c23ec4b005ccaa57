"""Server-sent events: from bytes that come in any pieces to the data of whole events, and back."""

from __future__ import annotations

import attrs

from helm.contracts.form import JSONValue
from helm.openai.ask import not_an_answer, written

DONE = b"[DONE]"
"""What ends a stream of chat completions."""


@attrs.define
class Events:
    """Reads one stream. What is left over at its end was never an event."""

    _rest: bytearray = attrs.field(factory=bytearray, repr=False)
    _data: list[bytes] = attrs.field(factory=list, repr=False)

    def feed(self, piece: bytes) -> list[bytes]:
        """Return the data of every event that is whole now. Raises Refused for lines that two readers end elsewhere."""
        self._rest += piece
        if b"\n" not in piece:  # a long line in small pieces is looked through once, not once per piece (T4)
            return []
        *lines, rest = bytes(self._rest).split(b"\n")
        self._rest = bytearray(rest)
        found: list[bytes] = []
        for line in lines:
            self._take(line.removesuffix(b"\r"), found)
        return found

    def _take(self, line: bytes, found: list[bytes]) -> None:
        if b"\r" in line:
            raise not_an_answer("a line of the stream holds a bare carriage return: some readers end it there")
        if not line:
            if self._data:
                found.append(b"\n".join(self._data))
                self._data = []
            return
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        elif name not in (b"", b"event", b"id", b"retry"):
            raise not_an_answer("the stream holds a line that is no field of an event")

    def check_end(self) -> None:
        """Raise Refused where the stream ended within an event."""
        if self._rest.strip() or self._data:
            raise not_an_answer("the stream ended in the middle of an event")


def chunk_event(chunk: JSONValue) -> bytes:
    """Return one event of chat completions."""
    return b"data: " + written(chunk) + b"\n\n"


def named_event(event: dict[str, JSONValue]) -> bytes:
    """Return one event of responses, which goes by its type."""
    return b"event: " + str(event["type"]).encode() + b"\ndata: " + written(event) + b"\n\n"


END = b"data: " + DONE + b"\n\n"
