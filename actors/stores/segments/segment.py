"""One file of the journal in the hands of its writer: filled with zeros ahead of the rows, so that a write of rows
changes nothing but their blocks.

A write into blocks that were never written makes the file system note that they are now: a second write, to another
place, that the commit would wait for.
"""

from __future__ import annotations

import errno
import mmap
import os
from functools import cache
from pathlib import Path

import attrs

from actors import durable
from actors.stores.segments.folder import UNFINISHED, path_of
from actors.stores.segments.frame import BLOCK, HEADER_BYTES, Header, Kind, mark
from actors.stores.segments.raw_file import Disk, RawFile, open_raw

SLICE_BYTES = 1024 * 1024
"""Zeros written at once: some milliseconds of a slow disk, which the next batch may have to wait for."""

AHEAD_BYTES = 8 * SLICE_BYTES
"""How far the zeros are ahead of the rows: a quarter of a second of a full belt."""

SEGMENT_BYTES = 64 * 1024 * 1024
"""A file that is longer gets no more rows: reading it through takes a tenth of a second, copying it not much more."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


@cache
def zeros() -> memoryview:
    """Return a slice of zeros, in memory that no disk minds."""
    return memoryview(mmap.mmap(-1, SLICE_BYTES))


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
    def is_due(self) -> bool:
        """True while more zeros are wanted ahead of the rows."""
        return self.prepared < min(self.last.end + AHEAD_BYTES, SEGMENT_BYTES)

    def write(self, header: Header, frame: memoryview) -> None:
        """Make the next frame durable. Raises OSError, and what was written is unknown."""
        while self.prepared < header.end:
            self.prepare()
        self.file.write(frame, header.offset)
        self.last = header

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
        with mmap.mmap(-1, BLOCK) as block:
            block[:HEADER_BYTES] = header.fields() + header.digest
            with memoryview(block) as frame:
                self.write(header, frame)

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


def create(directory: Path, disk: Disk, first: int, previous: bytes) -> Segment:
    """Make the file that begins with row `first`, durably. Raises OSError, and no such file is there then."""
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
