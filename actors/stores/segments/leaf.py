"""One file of the journal as a reader sees it: frames found from places that are remembered."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

import attrs

from actors.stores.segments.frame import HEADER_BYTES, Header, Kind, lengths_in, read_header
from actors.stores.segments.scan import damaged
from actors.stores.segments.window import Window

STRIDE_BYTES = 1024 * 1024
"""How far apart remembered places are: one reading finds any row between two of them, and a file of full size has 64
of them in memory (T4)."""


@attrs.define(eq=False)
class Leaf:
    """A file, and the places in it that are known: the header that stands at each."""

    path: Path
    first: int
    """The number of the row that it begins with, by its name."""
    _places: list[Header] = attrs.field(factory=list, init=False)

    def frames(self, window: Window, row: int) -> Iterator[Header]:
        """Yield the headers from the frame on that holds the row, or from one before it. Raises Invalid, OSError."""
        header = self._start(window, row)
        while header is not None:
            yield header
            header = self._behind(window, header)

    def rows(self, window: Window, row: int) -> Iterator[tuple[int, bytes]]:
        """Yield the rows from number `row` on. Raises Invalid, OSError."""
        for header in self.frames(window, row):
            if header.next_row > row and header.rows:
                yield from self._rows_of(window, header, row)

    def _rows_of(self, window: Window, header: Header, row: int) -> Iterator[tuple[int, bytes]]:
        lengths = lengths_in(window.bytes_at(header.body_at, 4 * header.rows))
        if sum(lengths) + 4 * header.rows != header.length:
            raise damaged(str(self.path), header.offset, "rows longer or shorter than their frame")
        offset = header.rows_at
        for seq, length in enumerate(lengths, header.first):
            if seq >= row:
                yield seq, window.bytes_at(offset, length)
            offset += length

    def _start(self, window: Window, row: int) -> Header | None:
        """Return the last known frame that does not begin behind the row."""
        if not self._places:
            beginning = read_header(window.bytes_at(0, HEADER_BYTES), 0, str(self.path))
            if beginning is None or (beginning.kind, beginning.first) != (Kind.BEGINNING, self.first):
                raise damaged(str(self.path), 0, "not the beginning of a file of this journal")
            self._places.append(beginning)
        return self._places[max(0, bisect_right(self._places, row, key=lambda place: place.first) - 1)]

    def _behind(self, window: Window, header: Header) -> Header | None:
        following = read_header(window.bytes_at(header.end, HEADER_BYTES), header.end, str(self.path))
        if following is not None and not following.follows(header):
            raise damaged(str(self.path), header.end, "a frame that does not belong behind the one before it")
        if following is not None and following.offset >= self._places[-1].offset + STRIDE_BYTES:
            self._places.append(following)
        return following
