"""The journal port on SQLite."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from actors.stores.book import Place, opened
from actors.stores.journal import StoredJournal
from actors.stores.reader import Reader
from actors.stores.sqlite_glance import SqliteSource
from actors.stores.writer import Writer


async def open_sqlite(
    path: Path, *, free_space_reserve: int, max_bytes: int | None = None, vfs: str = ""
) -> StoredJournal:
    """Take the journal's lock and open it, or create it. Raises Invalid, also when another has it."""
    place = Place(path=path, free_space_reserve=free_space_reserve, max_bytes=max_bytes, vfs=vfs)
    return await StoredJournal.start(
        Writer(str(path), partial(opened, place)), Reader(partial(SqliteSource.open, place))
    )
