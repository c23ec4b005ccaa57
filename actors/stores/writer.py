"""The journal's writer: one thread that owns the only way of writing together with the lock.

A thread that hangs in a dead disk keeps both, so that nobody else writes while its outcome is open. Where
nothing else can be done meanwhile the loop writes, while the thread rests, if the store need not wait for the disk.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

import apsw
import attrs
from trio.lowlevel import enable_ki_protection

from actors.stores.errand import Errand
from actors.stores.ground import EVERY_S, Ground
from helm.contracts.errors import Invalid

DISK_ERRORS = (apsw.Error, OSError, MemoryError)
"""What a disk, or what stands between it and us, may say at any time. It ends the journal, and nothing is retried."""


GLANCE_S = 0.0004
"""How long the loop looks on while the disk writes a row; a sound one that is fast has it by then."""

SOUND_PACE = 600_000_000
"""Bytes that such a disk writes in a second, beyond the first few."""

SOUND_S = 0.01
"""How long a disk counts as sound after it made rows durable. Where the file system was frozen since, or another's
write hangs in it, the loop may be kept waiting although it asked not to be. Only fast callers gain from the loop."""

THREAD_TURNS = 16
"""How many rows alone go through the thread after one that was not there soon: somebody else wants the disk, or the
processor, or has read the file's end into the cache."""


class Book(Protocol):
    """A journal in the hands of its writer. What it raises is one of DISK_ERRORS."""

    @property
    def head(self) -> int:
        """The number of the last row."""

    @property
    def ground(self) -> Ground:
        """Where it lies, and how much room is there."""

    def append(self, rows: tuple[bytes, ...], begin: Callable[[], None]) -> int:
        """Make the rows durable, return the number of the first; call `begin` once only the disk is waited for."""

    def tidy(self) -> None:
        """Do what is due between two batches."""

    def work_ahead(self) -> bool:
        """Do a little of what the rows will need later, beside them; tell whether there is more of it."""

    def condemn(self) -> None:
        """Leave everything as it is: an append failed, and its outcome is for a fresh process to find."""


class Departure(Protocol):
    """Rows on their way to the disk, with nobody waiting. Nothing else is written, and the book not closed, before."""

    @property
    def first(self) -> int:
        """The number of the first row."""

    def has_landed(self) -> bool:
        """Tell whether the rows are durable by now. Raises as `land` does."""

    def land(self) -> None:
        """Wait until the rows are durable.

        Raises one of DISK_ERRORS: BlockingIOError where it is over, not taken, and `append` is the way.
        """


@runtime_checkable
class QuickBook(Book, Protocol):
    """A journal that takes rows without waiting for the disk."""

    def begin(self, rows: tuple[bytes, ...]) -> Departure | None:
        """Begin to make rows durable; None where nothing was begun, and `append` is the way."""


@attrs.define(eq=False)
class Batch(Errand):
    """Rows on their way; `first` is their number once they are durable, and 0 says that they may not be."""

    rows: tuple[bytes, ...] = ()
    meanwhile: Callable[[], None] | None = None
    """What the loop has to do while the disk has the rows, until it is done."""
    first: int = attrs.field(default=0, init=False)
    departure: Departure | None = attrs.field(default=None, init=False)
    """What the loop began and could not wait for."""

    def pass_time(self) -> None:
        """Do what is to be done meanwhile, once."""
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()


@attrs.define(eq=False)
class Chore(Errand):
    """Something else to be done with the open book, between two batches."""

    do: Callable[[Book], object] = attrs.field(kw_only=True)
    was_done: bool = attrs.field(default=False, init=False)


@attrs.define(eq=False)
class Writer:
    """The thread and what it tells the loop. The plain attributes are read by anyone."""

    name: str
    """Of what it writes, for whoever looks at the threads."""
    _open: Callable[[], AbstractContextManager[Book]]
    head: int = attrs.field(default=0, init=False)
    low_space: bool = attrs.field(default=False, init=False)
    failure: str = attrs.field(default="", init=False)
    """Why nothing is taken any more; set before any batch hears of it, never cleared."""
    refusal: Invalid | None = attrs.field(default=None, init=False)
    opened: Errand = attrs.field(factory=Errand, init=False)
    ended: Errand = attrs.field(factory=Errand, init=False)
    _inbox: queue.SimpleQueue[Batch | Chore | None] = attrs.field(factory=queue.SimpleQueue, init=False)
    _handed: int = attrs.field(default=0, init=False)
    """How much was put into the inbox; the loop counts."""
    _served: int = attrs.field(default=0, init=False)
    """How much of that is done, with all that was due behind it; the thread counts."""
    _quick: QuickBook | None = attrs.field(default=None, init=False)
    """The book, as long as it is open, where the loop may write in it."""
    _thread_turns: int = attrs.field(default=0, init=False)
    """How many rows alone the loop leaves to the thread before it tries again."""
    _sound_until: float = attrs.field(default=0.0, init=False)
    """How long the loop may still rely on the disk, by the monotonic clock."""
    _pen: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    """Whoever holds it may use the book. The loop never waits for it, and has it only while it looks on."""

    def start(self) -> None:
        """Begin to open the journal. A daemon: a hung disk must not keep the process from ending."""
        threading.Thread(target=self._run, name=f"journal {self.name}", daemon=True).start()

    @enable_ki_protection  # what was written and what is known of it must not part
    def write(self, batch: Batch) -> bool:
        """Write a batch here and now, in the loop, and tell whether that was possible; else `append` is the way.

        Where the disk takes longer than a sound one does, the thread waits for it instead, and the batch is finished
        when `append` would have finished it.
        """
        if self._thread_turns:
            self._thread_turns -= 1
            return False
        if time.monotonic() > self._sound_until:
            return False
        if self._handed != self._served or not self._pen.acquire(blocking=False):
            return False
        try:
            book = self._quick
            if book is None or self.failure or book.ground.is_due():  # a look that is due follows the thread's batches
                return False
            return self._write(book, batch)
        finally:
            self._pen.release()

    def append(self, batch: Batch | Chore) -> None:
        """Hand a batch or a chore over. It will be finished, unless the disk hangs or `failure` is set."""
        self._put(batch)

    def stop(self) -> None:
        """Let the thread end after what it was handed before."""
        self._put(None)

    def _put(self, item: Batch | Chore | None) -> None:
        self._handed += 1
        self._inbox.put(item)

    def _write(self, book: QuickBook, batch: Batch) -> bool:
        try:
            departure = book.begin(batch.rows)
        except DISK_ERRORS as error:
            return self._break_off(book, batch, error)
        except BaseException as error:  # a signal's, or a bug: it may be under way
            self._fail(book, error)
            raise
        if departure is None:
            return False
        try:
            batch.pass_time()
        finally:
            is_cared_for = self._look_on(book, batch, departure)
        return is_cared_for

    def _look_on(self, book: QuickBook, batch: Batch, departure: Departure) -> bool:
        try:
            if self._sees_landed(departure, sum(map(len, batch.rows))):
                self._note(batch, departure.first, book)
                batch.finish()
            else:
                batch.departure = departure
                self._put(batch)
        except BlockingIOError:
            self._thread_turns = THREAD_TURNS
            return False
        except DISK_ERRORS as error:
            return self._break_off(book, batch, error)
        except BaseException as error:
            self._fail(book, error)
            raise
        return True

    def _break_off(self, book: QuickBook, batch: Batch, error: BaseException) -> bool:
        """End the journal: what the loop wrote may be under way. There is nothing left to do for the batch."""
        self._fail(book, error)
        batch.finish()
        return True

    def _sees_landed(self, departure: Departure, size: int) -> bool:
        """Look on while the disk writes, without sleeping: a processor that sleeps is as slow to wake as the disk is.

        Whoever else wants the processor gets it between two looks, and then, too, the thread is the better way for a
        while. `size` is in bytes. Raises one of DISK_ERRORS.
        """
        until = time.monotonic() + GLANCE_S + size / SOUND_PACE
        while not (has_landed := departure.has_landed()) and time.monotonic() < until:
            os.sched_yield()
        if time.monotonic() > until:
            self._thread_turns = THREAD_TURNS
        return has_landed

    def _run(self) -> None:
        try:
            with self._open() as book:
                self._quick = book if isinstance(book, QuickBook) else None
                try:
                    self._serve(book)
                finally:
                    with self._pen:
                        self._quick = None
        except Invalid as refusal:
            self.refusal = refusal
        finally:
            self.failure = self.failure or "the writer has ended"
            self.opened.finish()
            self._dismiss()
            self.ended.finish()

    def _serve(self, book: Book) -> None:
        self.head, self.low_space = book.head, book.ground.low
        self._sound_until = time.monotonic() + SOUND_S  # the last rows were made durable anew
        self.opened.finish()
        while True:
            try:
                item = self._inbox.get(timeout=EVERY_S)
            except queue.Empty:
                with self._pen:
                    if self._inbox.empty():  # else the loop may have begun what is to be waited for first
                        self._tidy(book)
                continue
            if item is None:
                return
            with self._pen:
                if isinstance(item, Chore):
                    self._do(book, item)
                else:
                    self._commit(book, item)
                self._tidy(book)
                self._work_ahead(book)
            self._served += 1

    def _work_ahead(self, book: Book) -> None:
        try:
            while self._inbox.empty() and not self.failure and book.work_ahead():
                pass
        except DISK_ERRORS as error:
            self._fail(book, error)

    def _commit(self, book: Book, batch: Batch) -> None:
        if not self.failure:
            try:
                self._note(batch, landed(batch.departure) or book.append(batch.rows, batch.begin), book)
            except DISK_ERRORS as error:
                self._fail(book, error)
        batch.finish()

    def _note(self, batch: Batch, first: int, book: Book) -> None:
        batch.first, self.head = first, book.head
        self._sound_until = time.monotonic() + SOUND_S

    def _do(self, book: Book, chore: Chore) -> None:
        if not self.failure:
            try:
                chore.do(book)
                chore.was_done = True
            except DISK_ERRORS as error:
                self._fail(book, error)
        chore.finish()

    def _tidy(self, book: Book) -> None:
        if not self.failure:
            try:
                book.tidy()
                self.low_space = book.ground.low
            except DISK_ERRORS as error:
                self._fail(book, error)

    def _fail(self, book: Book, error: BaseException) -> None:
        self.failure = f"{type(error).__name__}: {error}"
        book.condemn()

    def _dismiss(self) -> None:
        while not self._inbox.empty():
            item = self._inbox.get()
            if isinstance(item, Errand):
                item.finish()


def landed(departure: Departure | None) -> int:
    """Wait until rows that the loop began are durable; return the number of the first, 0 where they are to be written.

    Raises one of DISK_ERRORS.
    """
    if departure is None:
        return 0
    try:
        departure.land()
    except BlockingIOError:
        return 0
    return departure.first
