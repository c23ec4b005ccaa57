"""The journal port on PostgreSQL."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from actors.stores.ground import Ground
from actors.stores.journal import StoredJournal
from actors.stores.postgres.book import LINE, Line, Place, opened
from actors.stores.postgres.glance import PostgresSource
from actors.stores.reader import Reader
from actors.stores.writer import Writer
from helm.database import Database


async def open_postgres(
    database: Database, *, beside: Path, free_space_reserve: int, line: Line = LINE
) -> StoredJournal:
    """Connect, become the only writer, and make the tables where there are none. Raises Invalid.

    `beside` is the directory that the kernel's own files are in: the room that it watches is there.
    """
    place = Place(database=database, ground=Ground(beside, free_space_reserve), line=line)
    reader = Reader(partial(PostgresSource.open, database))
    return await StoredJournal.start(Writer(str(database), partial(opened, place)), reader)
