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


@attrs.define(eq=False)
class Batch(Errand):
    """Rows on their way; `first` is their number once they are durable, and 0 says that they may not be."""

    rows: tuple[bytes, ...] = ()
    first: int = attrs.field(default=0, init=False)


@attrs.define(eq=False)
class Chore(Errand):
    """Something else to be done with the open book, between two batches."""

    do: Callable[[Book], object] = attrs.field(kw_only=True)
    was_done: bool = attrs.field(default=False, init=False)


class Nudge:
    """Rows are about to come: nothing to be done, but to be awake by then."""


NUDGE = Nudge()


@attrs.define(eq=False)
class Writer:
    """The thread and what it tells the loop. The plain attributes are set by the thread, read by anyone."""

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
    _inbox: queue.SimpleQueue[Batch | Chore | Nudge | None] = attrs.field(factory=queue.SimpleQueue, init=False)

    def start(self) -> None:
        """Begin to open the journal. A daemon: a hung disk must not keep the process from ending."""
        threading.Thread(target=self._run, name=f"journal {self.name}", daemon=True).start()

    def append(self, batch: Batch | Chore) -> None:
        """Hand a batch or a chore over. It will be finished, unless the disk hangs or `failure` is set."""
        self._inbox.put(batch)

    def rouse(self) -> None:
        """Wake the thread for rows that are about to come."""
        self._inbox.put(NUDGE)

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
        self.head, self.low_space = book.head, book.ground.low
        self.opened.finish()
        while True:
            try:
                item = self._inbox.get(timeout=EVERY_S)
            except queue.Empty:
                self._tidy(book)
                continue
            if item is None:
                return
            if isinstance(item, Nudge):
                continue
            if isinstance(item, Chore):
                self._do(book, item)
            else:
                self._commit(book, item)
            self._tidy(book)
            self._work_ahead(book)

    def _work_ahead(self, book: Book) -> None:
        try:
            while self._inbox.empty() and not self.failure and book.work_ahead():
                pass
        except DISK_ERRORS as error:
            self._fail(book, error)

    def _commit(self, book: Book, batch: Batch) -> None:
        if not self.failure:
            try:
                batch.first = book.append(batch.rows, batch.begin)
                self.head = book.head
            except DISK_ERRORS as error:
                self._fail(book, error)
        batch.finish()

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

    def _fail(self, book: Book, error: Exception) -> None:
        self.failure = f"{type(error).__name__}: {error}"
        book.condemn()

    def _dismiss(self) -> None:
        while not self._inbox.empty():
            item = self._inbox.get()
            if isinstance(item, Errand):
                item.finish()
