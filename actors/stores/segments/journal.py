"""The journal port on segments: a batch is written by the loop itself where the system can do that beside it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import attrs
import trio

from actors.stores.journal import StoredJournal
from actors.stores.port import JournalFailed
from actors.stores.reader import Reader
from actors.stores.segments.book import Book, Place, opened
from actors.stores.segments.flight import Flight
from actors.stores.segments.frame import Header
from actors.stores.segments.raw_file import DISK, Disk
from actors.stores.segments.reading import Reading
from actors.stores.writer import Writer
from helm.contracts.errors import Broken


@attrs.define(eq=False)
class SegmentJournal(StoredJournal):
    """A journal whose thread is there for what takes long, and for batches where the loop cannot write."""

    _waiting: bool = attrs.field(default=False, init=False)

    async def append(self, rows: Sequence[bytes]) -> int:
        """Make the rows durable and return the number of the first. Raises JournalFailed."""
        if not rows:
            raise Broken("an empty batch has no first row")
        await trio.lowlevel.checkpoint_if_cancelled()  # the last moment at which "not written" is certain
        flight = self._take_off(tuple(rows))
        if flight is None:
            return await super().append(rows)
        self._waiting = True
        try:
            while not flight.look():
                await trio.lowlevel.wait_readable(flight.queue.event)
                with suppress(BlockingIOError):
                    os.eventfd_read(flight.queue.event)
        finally:
            self._waiting = False  # who is cancelled leaves the flight to the thread
        if not flight.is_written:
            raise JournalFailed(self._writer.failure)
        return flight.header.first

    def _take_off(self, rows: tuple[bytes, ...]) -> Flight | None:
        """Begin to write the rows, None where that is the thread's work now: it, or a batch of its, comes first."""
        writer = self._writer
        if self._waiting or writer.failure or writer.is_busy or not writer.hand.acquire(blocking=False):
            return None
        flight = None
        try:
            book = writer.book
            if isinstance(book, Book):
                flight = book.take_off(rows, partial(self._land, book))
        except OSError as error:
            writer.fail(error)
        finally:
            if flight is None:
                writer.hand.release()
        writer.flight = flight
        return flight

    def _land(self, book: Book, header: Header, problem: OSError | None) -> None:
        """Take note of a flight's end, in the loop or in the thread, and let go of the book."""
        writer = self._writer
        if problem is None:
            book.segment.last = header
            writer.head = book.head
        else:
            writer.fail(problem)
        is_tidy = book.is_tidy
        writer.hand.release()
        if not is_tidy:
            writer.nudge()


async def open_segments(
    path: Path, *, free_space_reserve: int, max_bytes: int | None = None, disk: Disk = DISK
) -> StoredJournal:
    """Take the journal's lock and open it, or create it. Raises Invalid, also when another has it."""
    place = Place(path=path, free_space_reserve=free_space_reserve, max_bytes=max_bytes, disk=disk)
    return await SegmentJournal.start(Writer(str(path), partial(opened, place)), Reader(partial(Reading, path, disk)))
