"""The next file of the journal, filled with zeros beside the current one: nothing of it counts before it has its name.

Nobody waits for it. A file that gets longer while it is written to would make each commit wait for its length.
"""

from __future__ import annotations

import os
from pathlib import Path

import attrs

from actors.process import durable
from actors.stores.segments.folder import UNFINISHED, path_of
from actors.stores.segments.frame import Kind, mark
from actors.stores.segments.raw_file import Disk, RawFile, open_raw
from actors.stores.segments.segment import SLICE_BYTES, Segment, in_block, zeros


@attrs.define(eq=False)
class Coming:
    """A file on its way to full length, in the hands of the writer's thread."""

    directory: Path
    disk: Disk
    file: RawFile
    size: int
    _filled: int = attrs.field(default=0, init=False)
    is_ready: bool = attrs.field(default=False, init=False)

    def fill(self) -> None:
        """Write some more zeros, or see that all of them are on the disk. Raises OSError."""
        if self._filled < self.size:
            self.file.write(zeros(), self._filled)
            self._filled += SLICE_BYTES
        else:
            self.file.sync()
            self.is_ready = True

    def become(self, first: int, previous: bytes) -> Segment:
        """Give the file its beginning and its name, durably: it begins with row `first`. Raises OSError."""
        path, beginning = path_of(self.directory, first), mark(Kind.BEGINNING, first, 0, previous)
        with in_block(beginning.fields() + beginning.digest) as block:
            self.file.write(block, 0)
        self.file.sync()
        os.rename(self.directory / UNFINISHED, path)
        durable.sync_directory(self.directory)
        segment = Segment(path, open_raw(path, self.disk, to_write=True), beginning)
        self.file.close()
        return segment

    def drop(self) -> None:
        """Do without it. Raises OSError."""
        self.file.close()
        (self.directory / UNFINISHED).unlink(missing_ok=True)


def begin(directory: Path, disk: Disk, size: int) -> Coming:
    """Begin a file of whole slices. Raises OSError, also where the disk has no room for all of it."""
    path = directory / UNFINISHED
    path.unlink(missing_ok=True)
    durable.write_new(path, b"")
    file = open_raw(path, disk, to_write=True, synced=False)
    try:
        disk.reserve(file.descriptor, size)
    except BaseException:
        file.close()
        path.unlink(missing_ok=True)
        raise
    return Coming(directory, disk, file, size)
