"""What tests of the journal do to it again and again, whichever store keeps it."""

import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import attrs

from actors.stores import book
from actors.stores.glance import Glance, glance
from actors.stores.ground import Ground
from actors.stores.journal import StoredJournal
from actors.stores.postgres import book as postgres_book
from actors.stores.postgres.glance import PostgresSource
from actors.stores.postgres.journal import open_postgres
from actors.stores.reader import Reader
from actors.stores.segments import book as segments
from actors.stores.segments.journal import open_segments
from actors.stores.segments.raw_file import DISK
from actors.stores.segments.reading import Reading
from actors.stores.sqlite import open_sqlite
from actors.stores.sqlite_glance import SqliteSource
from actors.stores.writer import Book, Writer
from helm.database import Database
from tests.actors.stores.disk import SegmentDisk, ServerLine, SqliteDisk
from tests.counterparts.postgres import database_of


class SomeDisk(Protocol):
    """A disk that does what a test says: see Mood."""

    sync_fails: bool
    is_full: bool
    syncs: int
    asked_to_sync: Any

    def hang(self) -> None: ...

    def let_go(self) -> None: ...


@attrs.frozen
class Store:
    """One of the stores that keep journals, and what a test needs to know of it."""

    name: str
    """Of the journal, in its directory."""
    new_disk: Callable[[], Any]
    in_database: bool = False
    """Whether a server keeps it."""

    async def open(self, path: Path, *, disk: Any = None, **how: Any) -> StoredJournal:
        """Open the journal at `path` through the port."""
        how = {"free_space_reserve": 0, **how}
        if self.name == "journal":
            return await open_segments(path, disk=disk or self.default_disk(), **how)
        if self.in_database:
            return await open_postgres(database_of(path), beside=path.parent, line=disk or ServerLine(), **how)
        return await open_sqlite(path, vfs=disk.name if disk else "", **how)

    def default_disk(self) -> Any:
        """Return the disk that a journal of segments is on."""
        return DISK if self is SEGMENTS else self.new_disk()

    @asynccontextmanager
    async def journal_at(self, path: Path, **how: Any) -> AsyncIterator[StoredJournal]:
        """Open the journal, and close it whatever the test comes to."""
        journal = await self.open(path, **how)
        try:
            yield journal
        finally:
            await journal.aclose()

    def book(self, path: Path) -> AbstractContextManager[Book]:
        """Open the journal as its writer's thread does."""
        if self.name == "journal":
            return segments.opened(segments.Place(path=path, free_space_reserve=0, disk=self.default_disk()))
        if self.in_database:
            place = postgres_book.Place(database=database_of(path), ground=Ground(path.parent, 0))
            return postgres_book.opened(place)
        return book.opened(book.Place(path=path, free_space_reserve=0))

    def at(self, path: Path) -> Path | Database:
        """Return where whoever looks finds the journal."""
        return database_of(path) if self.in_database else path

    def glance(self, path: Path) -> AbstractContextManager[Glance]:
        """Look at the journal."""
        return glance(self.at(path))

    def reader(self, path: Path) -> Reader:
        """Return a reader of the journal, of its own."""
        if self.name == "journal":
            return Reader(lambda: Reading(path))
        if self.in_database:
            return Reader(lambda: PostgresSource.open(database_of(path)))
        return Reader(lambda: SqliteSource.open(book.Place(path=path, free_space_reserve=0)))


SQLITE = Store("journal.db", SqliteDisk)
SEGMENTS = Store("journal", SegmentDisk)
CACHED = Store("journal", lambda: SegmentDisk(passing=False))
"""Segments on a file system that has nothing but the page cache."""

POSTGRES = Store("journal.postgresql", ServerLine, in_database=True)

FILES = {"sqlite": SQLITE, "segments": SEGMENTS, "segments in the cache": CACHED}
STORES = {**FILES, "postgresql": POSTGRES}


def name_of(store: Store) -> str:
    """Return the key of a store in STORES, which another process knows it by."""
    return next(name for name, known in STORES.items() if known is store)


async def rows_of(journal: StoredJournal) -> list[bytes]:
    """Every row, having seen that their numbers are 1, 2, 3, ..."""
    rows = await journal.read(1, journal.head + 1)
    assert [seq for seq, _ in rows] == list(range(1, journal.head + 1))
    return [body for _, body in rows]


def nothing() -> None:
    """What a thread begins that nobody waits for."""


def come_to_rest(writer: Writer) -> None:
    """Return when the thread has done all that it was handed, with what was due behind it."""
    while writer._handed != writer._served:
        time.sleep(0.001)


def files_in(path: Path) -> Iterator[Path]:
    """Yield every file of the journal at `path`, with its lock."""
    for file in path.parent.iterdir():
        yield from file.iterdir() if file.is_dir() else (file,)
