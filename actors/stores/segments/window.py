"""A stretch of a file in memory, moved to wherever bytes are asked for."""

from __future__ import annotations

import mmap

import attrs

from actors.stores.segments.frame import BLOCK
from actors.stores.segments.raw_file import RawFile

SHORT = 64 * 1024
"""What is read first: a single row is asked for as often as a page of them."""

LONG = 1024 * 1024
"""What is read once the reading goes on: a disk gives its best, and the memory is small."""


@attrs.define(eq=False)
class Window:
    """What was read of one file last."""

    file: RawFile
    _memory: mmap.mmap = attrs.field(factory=lambda: mmap.mmap(-1, LONG), init=False)
    _start: int = attrs.field(default=0, init=False)
    _end: int = attrs.field(default=0, init=False)
    _stretch: int = attrs.field(default=SHORT, init=False)

    def forget(self) -> None:
        """Read again whatever is asked for next: a writer may have been there."""
        self._start = self._end = 0
        self._stretch = SHORT

    def bytes_at(self, offset: int, length: int) -> bytes:
        """Return what stands there; less where the file ends. Raises OSError."""
        parts = []
        while length > 0:
            if not self._start <= offset < self._end:
                self._move(offset)
                if offset >= self._end:
                    break
            part = self._memory[offset - self._start : min(offset + length, self._end) - self._start]
            parts.append(part)
            offset += len(part)
            length -= len(part)
        return b"".join(parts)

    def _move(self, offset: int) -> None:
        self._start = offset // BLOCK * BLOCK
        with memoryview(self._memory)[: self._stretch] as memory:
            self._end = self._start + self.file.read_into(memory, self._start)
        self._stretch = min(2 * self._stretch, LONG)
