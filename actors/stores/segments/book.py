"""The journal in the hands of its only writer: the file it writes to, and what is due between two batches."""

from __future__ import annotations

import errno
import logging
import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import attrs

from actors.stores import lock
from actors.stores.ground import Ground
from actors.stores.segments import folder
from actors.stores.segments.coming import Coming, begin
from actors.stores.segments.frame import (
    HEADER_BYTES,
    NO_DIGEST,
    Header,
    Kind,
    lengths_of,
)
from actors.stores.segments.raw_file import DISK, Disk
from actors.stores.segments.scan import Found, read_through
from actors.stores.segments.segment import NO_ROOM, Departure, Segment, create
from helm.contracts.errors import Invalid

LOG = logging.getLogger("helm.journal")

DESK_BYTES = 1024 * 1024
"""Memory that frames are put together in. A larger batch gets memory of its own, for as long as it needs it."""

SHORT_BYTES = 512 * 1024
"""A longer frame is the thread's: the loop would be kept from everything else while it makes the digest. A full belt's
is shorter, where arguments are."""


@attrs.frozen(kw_only=True)
class Place:
    """The journal's directory, how much room must stay free, how much it may take, and on what disk."""

    path: Path
    free_space_reserve: int = attrs.field(validator=attrs.validators.ge(0))
    max_bytes: int | None = None
    disk: Disk = DISK


@attrs.define
class Book:
    """The open journal."""

    place: Place
    segment: Segment
    ground: Ground
    torn: str = ""
    """What was found of a write that was cut off."""
    _bytes_before: int = 0
    """What the files before this one take."""
    _condemned: bool = attrs.field(default=False, init=False)
    _coming: Coming | None = attrs.field(default=None, init=False)
    _desk: mmap.mmap = attrs.field(factory=lambda: mmap.mmap(-1, DESK_BYTES), init=False)

    @property
    def head(self) -> int:
        """The number of the last row."""
        return self.segment.last.next_row - 1

    def append(self, rows: tuple[bytes, ...], begin: Callable[[], None]) -> int:
        """Make the rows durable, return the number of the first; `begin` is called once the frame is laid out.

        What is left then, its digest and the disk, leaves the interpreter's lock to others. An OSError leaves the
        outcome unknown.
        """
        body = (lengths_of(rows), *rows)
        header = self._header(len(rows), body)
        if self._is_beyond_quota(header.end):
            raise OSError(errno.EDQUOT, "the journal has reached its largest size")
        size = header.end - header.offset
        if size <= DESK_BYTES:
            self._write(self._desk, header, body, begin)
        else:
            with mmap.mmap(-1, size) as desk:
                self._write(desk, header, body, begin)
        return header.first

    def begin(self, rows: tuple[bytes, ...]) -> Departure | None:
        """Begin to make a few rows durable without waiting; None where nothing was begun, and `append` is the way.

        That is also the way wherever more than rows has to be written.
        """
        segment, coming = self.segment, self._coming
        is_at_rest = not segment.is_half_full if coming is None else coming.is_ready and not segment.is_nearly_full
        if not (is_at_rest and segment.file.may_begin):
            return None
        body = (lengths_of(rows), *rows)
        header = self._header(len(rows), body)
        size = header.end - header.offset
        if size > SHORT_BYTES or header.end > segment.prepared or self._is_beyond_quota(header.end):
            return None
        lay(self._desk, header, body)
        frame = memoryview(self._desk)[:size]
        return segment.begin(vouch(frame, header), frame)

    def _write(self, desk: mmap.mmap, header: Header, body: tuple[bytes, ...], begin: Callable[[], None]) -> None:
        lay(desk, header, body)
        begin()
        with memoryview(desk) as whole, whole[: header.end - header.offset] as frame:
            self.segment.write(vouch(frame, header), frame)

    def _header(self, rows: int, body: tuple[bytes, ...]) -> Header:
        last = self.segment.last
        return Header(
            kind=Kind.ROWS,
            rows=rows,
            first=last.next_row,
            offset=last.end,
            length=sum(map(len, body)),
            previous=last.digest,
        )

    def _is_beyond_quota(self, end: int) -> bool:
        return self.place.max_bytes is not None and self._bytes_before + end > self.place.max_bytes

    def tidy(self) -> None:
        """What is due between two batches: the turn to the next file, a look at the disk. Raises OSError."""
        is_ready = self._coming is not None and self._coming.is_ready
        if self.segment.is_full or (self.segment.is_nearly_full and is_ready):
            self._turn()
        if self.ground.is_due():
            self.look()

    def work_ahead(self) -> bool:
        """Do a little of what the rows will need later, and tell whether there is more of it. Raises OSError.

        Nobody waits for it, and nobody has to have the book in hand. Where there is no room, the rows will find out.
        """
        try:
            if self._coming is None:
                if not self.segment.is_half_full:
                    return False
                self._coming = begin(self.place.path, self.place.disk, self.segment.next_size)
            elif not self._coming.is_ready:
                self._coming.fill()
            return not self._coming.is_ready
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise
            self._drop()
            return False

    def _drop(self) -> None:
        if self._coming is not None:
            self._coming.drop()
            self._coming = None

    def look(self) -> None:
        """Find out how much room is left."""
        room = None
        if self.place.max_bytes is not None:
            room = self.place.max_bytes - self._bytes_before - self.segment.last.end
        self.ground.check(room)

    def condemn(self) -> None:
        """Leave the file as it is: what a failed append left there is for a fresh process to find."""
        self._condemned = True

    def close(self) -> None:
        """Say in the file that all of it is there, unless it is in doubt, and give it back."""
        if not self._condemned and self.segment.last.kind == Kind.ROWS:
            with suppress(OSError):  # without the mark the next start looks closer, and that is all
                self.segment.put_mark(Kind.CLOSE)
        with suppress(OSError):
            self._drop()
        self.segment.close()

    def _turn(self) -> None:
        """Go on in a new file: it is there before the old one says so."""
        self.look()  # else the next file would begin where another directory has taken the place of ours
        old, coming = self.segment, self._coming
        if coming is not None and coming.is_ready:
            self._coming = None
            new = coming.become(old.last.next_row, old.last.digest)
        else:
            self._drop()
            new = create(self.place.path, self.place.disk, old.last.next_row, old.last.digest)
        try:
            old.put_mark(Kind.TURN)
        except BaseException:
            new.close()
            raise
        self._bytes_before += old.last.end
        self.segment = new
        self.ground.move(new.path)
        old.close()


def lay(desk: mmap.mmap, header: Header, body: tuple[bytes, ...]) -> None:
    """Put all of a frame but its header on the desk, each part at its place at once: no copy is made on the way."""
    desk.seek(HEADER_BYTES)
    for part in body:
        desk.write(part)
    desk.write(bytes(header.end - header.body_at - header.length))


def vouch(frame: memoryview, header: Header) -> Header:
    """Put the header before what was laid out; return it, complete."""
    fields = header.fields()
    running = sha256(fields)
    with frame[HEADER_BYTES : HEADER_BYTES + header.length] as body:
        running.update(body)
    digest = running.digest()
    frame[:HEADER_BYTES] = fields + digest
    return header.but(digest=digest)


@contextmanager
def opened(place: Place) -> Iterator[Book]:
    """Take the lock, open or create the journal, make good what the last run left half done. Raises Invalid."""
    descriptor = lock.take(lock.beside(place.path))
    try:
        book = read_in(place)
        try:
            yield book
        finally:
            book.close()
    finally:
        os.close(descriptor)


def read_in(place: Place) -> Book:
    """Read the journal through, or begin one. Raises Invalid."""
    try:
        folder.make(place.path)
        found = read_through(place.path, place.disk)
        if found is None:
            segment = create(place.path, place.disk, 1, NO_DIGEST)
            found = Found(segment=segment, bytes_before=0, torn="")
        try:
            return _book(place, found)
        except BaseException:
            found.segment.close()
            raise
    except OSError as error:
        raise Invalid(f"the journal cannot be opened: {error}", str(place.path)) from error


def _book(place: Place, found: Found) -> Book:
    found.segment.renew()
    if found.torn:
        LOG.warning("the last run was cut off in the middle of a write, which nobody was told of: %s", found.torn)
    ground = Ground(found.segment.path, place.free_space_reserve)
    book = Book(place, found.segment, ground, found.torn, found.bytes_before)
    book.look()
    return book
