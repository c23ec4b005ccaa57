"""One file of the journal in the hands of its writer: it holds zeros where rows will be, so that a write of rows
changes nothing but their blocks.

A write into blocks that were never written makes the file system note that they are now: a second write, to another
place, that the commit would wait for.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import attrs

from actors.process import durable
from actors.stores.segments.folder import UNFINISHED, path_of
from actors.stores.segments.frame import BLOCK, Header, Kind, mark
from actors.stores.segments.raw_file import Disk, RawFile, open_raw

SLICE_BYTES = 1024 * 1024
"""Zeros written at once, some milliseconds of a slow disk; and how long the first file is: whoever only tries HELM out
does not wait for more."""

SEGMENT_BYTES = 64 * 1024 * 1024
"""A file that is longer gets no more rows: reading it through takes a tenth of a second, copying it not much more."""

GROWTH = 8
"""How many times longer than its file the next one is, up to full length."""

LAST_PART = 16
"""The part of a file that may stay empty, so that the turn comes before the rows need it."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


@cache
def zeros() -> memoryview:
    """Return a slice of zeros, in memory that no disk minds."""
    return memoryview(mmap.mmap(-1, SLICE_BYTES))


@contextmanager
def in_block(data: bytes) -> Iterator[memoryview]:
    """Put some bytes at the beginning of a block of zeros, in memory that no disk minds."""
    with mmap.mmap(-1, BLOCK) as memory:
        memory[: len(data)] = data
        with memoryview(memory) as block:
            yield block


@attrs.define(eq=False)
class Segment:
    """An open file, and where it stands."""

    path: Path
    file: RawFile
    last: Header
    """The frame that was written last; the next one begins at its end."""
    prepared: int = attrs.field(init=False)
    """Up to here the file holds frames or zeros."""

    def __attrs_post_init__(self) -> None:
        self.prepared = self.file.size() // BLOCK * BLOCK

    @property
    def is_full(self) -> bool:
        """True once no more rows belong in this file."""
        return self.last.end >= SEGMENT_BYTES

    @property
    def is_half_full(self) -> bool:
        """True once the next file should be on its way."""
        return 2 * self.last.end >= self.prepared

    @property
    def is_nearly_full(self) -> bool:
        """True once the next file, if it is ready, should take the place of this one."""
        return self.last.end >= self.prepared - self.prepared // LAST_PART

    @property
    def next_size(self) -> int:
        """How long the next file should be."""
        return min(GROWTH * self.prepared, SEGMENT_BYTES) // SLICE_BYTES * SLICE_BYTES

    def write(self, header: Header, frame: memoryview) -> None:
        """Make the next frame durable. Raises OSError, and what was written is unknown."""
        while self.prepared < header.end:
            self.prepare()
        self.file.write(frame, header.offset)
        self.last = header

    def begin(self, header: Header, frame: memoryview) -> Departure | None:
        """Begin to make the next frame durable; None where nothing was begun."""
        return Departure(self, header) if self.file.begin(frame, header.offset) else None

    def prepare(self) -> None:
        """Make the file longer by one slice of zeros, durably. Raises OSError; what it got longer stays."""
        try:
            self.file.write(zeros(), self.prepared)
        except OSError:
            self.prepared = self.file.size() // BLOCK * BLOCK
            raise
        self.prepared += SLICE_BYTES

    def put_mark(self, kind: Kind) -> None:
        """Write a frame without rows. Raises OSError."""
        header = mark(kind, self.last.next_row, self.last.end, self.last.digest)
        with in_block(header.fields() + header.digest) as block:
            self.write(header, block)

    def wipe(self, start: int, end: int) -> None:
        """Put zeros in the place of what a torn write left. Raises OSError."""
        for offset in range(start, end, SLICE_BYTES):
            self.file.write(zeros()[: min(SLICE_BYTES, end - offset)], offset)

    def renew(self) -> None:
        """Write the last frame once more: a process that died may have left it in a cache. Raises OSError."""
        with mmap.mmap(-1, SLICE_BYTES) as memory, memoryview(memory) as view:
            for offset in range(self.last.offset, self.last.end, SLICE_BYTES):
                part = view[: min(SLICE_BYTES, self.last.end - offset)]
                self.file.read_into(part, offset)
                self.file.write(part, offset)
                part.release()
        self.file.sync()

    def close(self) -> None:
        """Give the file back."""
        self.file.close()


@attrs.define(eq=False)
class Departure:
    """A frame on its way to the disk. Until it has landed nothing else is written, and its memory stays as it is."""

    segment: Segment
    header: Header

    @property
    def first(self) -> int:
        """The number of its first row."""
        return self.header.first

    def has_landed(self) -> bool:
        """Tell whether the frame is durable by now. Raises as `land` does."""
        has_landed = self.segment.file.has_landed()
        if has_landed:
            self.segment.last = self.header
        return has_landed

    def land(self) -> None:
        """Wait until the frame is durable.

        Raises OSError, and what was written is unknown; but BlockingIOError says that it has to be written by `write`.
        """
        self.segment.file.land()
        self.segment.last = self.header


def create(directory: Path, disk: Disk, first: int, previous: bytes) -> Segment:
    """Make a short file that begins with row `first`, durably. Raises OSError, and no such file is there then."""
    unfinished, path = directory / UNFINISHED, path_of(directory, first)
    unfinished.unlink(missing_ok=True)
    beginning = mark(Kind.BEGINNING, first, 0, previous)
    durable.write_new(unfinished, (beginning.fields() + beginning.digest).ljust(BLOCK, b"\0"))
    segment = Segment(path, open_raw(unfinished, disk, to_write=True), beginning)
    try:
        segment.prepare()
        os.rename(unfinished, path)
        durable.sync_directory(directory)
    except BaseException:
        segment.close()
        raise
    return segment
