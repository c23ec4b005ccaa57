"""The journal's writer: one thread that owns the only writing connection together with the lock.

A thread that hangs in a dead disk keeps both, so that nobody else writes while its outcome is open.
"""

from __future__ import annotations

import queue
import threading

import apsw
import attrs

from actors.stores.book import Book, Place, opened
from actors.stores.errand import Errand
from actors.stores.ground import EVERY_S
from helm.contracts.errors import Invalid


@attrs.define(eq=False)
class Batch(Errand):
    """Rows on their way; `first` is their number once they are durable, and 0 says that they may not be."""

    rows: tuple[bytes, ...] = ()
    first: int = attrs.field(default=0, init=False)


@attrs.define(eq=False)
class Writer:
    """The thread and what it tells the loop. The plain attributes are set by the thread, read by anyone."""

    place: Place
    head: int = attrs.field(default=0, init=False)
    low_space: bool = attrs.field(default=False, init=False)
    failure: str = attrs.field(default="", init=False)
    """Why nothing is taken any more; set before any batch hears of it, never cleared."""
    refusal: Invalid | None = attrs.field(default=None, init=False)
    opened: Errand = attrs.field(factory=Errand, init=False)
    ended: Errand = attrs.field(factory=Errand, init=False)
    _inbox: queue.SimpleQueue[Batch | None] = attrs.field(factory=queue.SimpleQueue, init=False)

    def start(self) -> None:
        """Begin to open the journal. A daemon: a hung disk must not keep the process from ending."""
        threading.Thread(target=self._run, name=f"journal {self.place.path}", daemon=True).start()

    def append(self, batch: Batch) -> None:
        """Hand a batch over. It will be finished, unless the disk hangs or `failure` is set."""
        self._inbox.put(batch)

    def stop(self) -> None:
        """Let the thread end after what it was handed before."""
        self._inbox.put(None)

    def _run(self) -> None:
        try:
            with opened(self.place) as book:
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
                batch = self._inbox.get(timeout=EVERY_S)
            except queue.Empty:
                self._tidy(book)
                continue
            if batch is None:
                return
            self._commit(book, batch)
            self._tidy(book)

    def _commit(self, book: Book, batch: Batch) -> None:
        if not self.failure:
            try:
                batch.begin()
                batch.first = book.append(batch.rows)
                self.head = book.head
            except (apsw.Error, OSError, MemoryError) as error:
                self._fail(book, error)
        batch.finish()

    def _tidy(self, book: Book) -> None:
        if not self.failure:
            try:
                book.tidy()
                self.low_space = book.ground.low
            except (apsw.Error, OSError, MemoryError) as error:
                self._fail(book, error)

    def _fail(self, book: Book, error: Exception) -> None:
        self.failure = f"{type(error).__name__}: {error}"
        book.condemn()

    def _dismiss(self) -> None:
        while not self._inbox.empty():
            batch = self._inbox.get()
            if batch is not None:
                batch.finish()
