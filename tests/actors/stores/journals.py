"""What tests of the journal do to it again and again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from actors.stores.sqlite import SqliteJournal


@asynccontextmanager
async def journal_at(
    path: Path, *, free_space_reserve: int = 0, max_bytes: int | None = None, vfs: str = ""
) -> AsyncIterator[SqliteJournal]:
    """Open the journal, and close it whatever the test comes to."""
    journal = await SqliteJournal.open(path, free_space_reserve=free_space_reserve, max_bytes=max_bytes, vfs=vfs)
    try:
        yield journal
    finally:
        await journal.aclose()


async def rows_of(journal: SqliteJournal) -> list[bytes]:
    """Every row, having seen that their numbers are 1, 2, 3, ..."""
    rows = await journal.read(1, journal.head + 1)
    assert [seq for seq, _ in rows] == list(range(1, journal.head + 1))
    return [body for _, body in rows]
