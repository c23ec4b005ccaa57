"""The journal's writer: one thread that owns the only way of writing together with the lock.

A thread that hangs in a dead disk keeps both, so that nobody else writes while its outcome is open.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol

import apsw
import attrs

from actors.stores.errand import Errand
from actors.stores.ground import EVERY_S, Ground
from helm.contracts.errors import Invalid

DISK_ERRORS = (apsw.Error, OSError, MemoryError)
"""What a disk, or what stands between it and us, may say at any time. It ends the journal, and nothing is retried."""


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


class UnderWay(Protocol):
    """A write that the loop began by itself; it has the book in hand until it ends."""

    def finish(self) -> None:
        """Wait for its end, and let go of the book. Idempotent."""


@attrs.define(eq=False)
class Batch(Errand):
    """Rows on their way; `first` is their number once they are durable, and 0 says that they may not be.

    Without rows it asks for what is due between two batches.
    """

    rows: tuple[bytes, ...] = ()
    first: int = attrs.field(default=0, init=False)


NO_ROWS = Batch()

BEGINNING_S = 0.001
"""What the loop may take between having the book in hand and having begun to write: then its end can be waited for."""


@attrs.define(eq=False)
class Writer:
    """The thread and what it tells the loop. The plain attributes are set by whoever has the book in hand."""

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
    hand: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    """Who holds it has the book: the thread as long as it works, or a write that the loop began by itself."""
    book: Book | None = attrs.field(default=None, init=False)
    flight: UnderWay | None = attrs.field(default=None, init=False)
    """What the loop began last."""
    _is_wanted: bool = attrs.field(default=False, init=False)
    _handed: Batch | None = attrs.field(default=None, init=False)
    _nudge: Batch | None = attrs.field(default=None, init=False)
    _inbox: queue.SimpleQueue[Batch | None] = attrs.field(factory=queue.SimpleQueue, init=False)

    def start(self) -> None:
        """Begin to open the journal. A daemon: a hung disk must not keep the process from ending."""
        threading.Thread(target=self._run, name=f"journal {self.name}", daemon=True).start()

    def append(self, batch: Batch) -> None:
        """Hand a batch over. It will be finished, unless the disk hangs or `failure` is set."""
        self._handed = batch
        self._inbox.put(batch)

    @property
    def is_busy(self) -> bool:
        """True while the thread comes before any other batch: it wants the book, or was handed one to write."""
        return self._is_wanted or (self._handed is not None and not self._handed.is_done)

    def nudge(self) -> None:
        """Ask for what is due between two batches, unless that is asked for already."""
        if self._nudge is None or self._nudge.is_done:
            self._nudge = Batch()
            self._inbox.put(self._nudge)

    def fail(self, error: Exception) -> None:
        """Take nothing more, for good. Whoever calls it has the book in hand."""
        self.failure = f"{type(error).__name__}: {error}"
        if self.book is not None:
            self.book.condemn()

    def stop(self) -> None:
        """Let the thread end after what it was handed before."""
        self._inbox.put(None)

    def _run(self) -> None:
        try:
            with self._open() as book:
                self._serve(book)
        except Invalid as refusal:
            self.refusal = refusal
        finally:
            self.failure = self.failure or "the writer has ended"
            self.opened.finish()
            self._dismiss()
            self.ended.finish()

    def _serve(self, book: Book) -> None:
        self.book, self.head, self.low_space = book, book.head, book.ground.low
        self.opened.finish()
        while True:
            try:
                batch = self._inbox.get(timeout=EVERY_S)
            except queue.Empty:
                batch = NO_ROWS
            self._take_in_hand()
            if batch is None:
                return  # nobody gets the book any more
            self._commit(book, batch)
            self._tidy(book)
            self.hand.release()
            self._work_ahead(book)

    def _work_ahead(self, book: Book) -> None:
        try:
            while self._inbox.empty() and not self.failure and book.work_ahead():
                pass
        except DISK_ERRORS as error:
            self._take_in_hand()
            self.fail(error)
            self.hand.release()

    def _take_in_hand(self) -> None:
        self._is_wanted = True  # else the loop would take it again and again
        while not self.hand.acquire(timeout=BEGINNING_S):
            if self.flight is not None:
                self.flight.finish()
        self._is_wanted = False

    def _commit(self, book: Book, batch: Batch) -> None:
        if batch.rows and not self.failure:
            try:
                batch.first = book.append(batch.rows, batch.begin)
                self.head = book.head
            except DISK_ERRORS as error:
                self.fail(error)
        batch.finish()

    def _tidy(self, book: Book) -> None:
        if not self.failure:
            try:
                book.tidy()
                self.low_space = book.ground.low
            except DISK_ERRORS as error:
                self.fail(error)

    def _dismiss(self) -> None:
        while not self._inbox.empty():
            batch = self._inbox.get()
            if batch is not None:
                batch.finish()
