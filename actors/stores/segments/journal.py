"""The journal port on segments."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from actors.stores.journal import StoredJournal
from actors.stores.reader import Reader
from actors.stores.segments.book import Place, opened
from actors.stores.segments.raw_file import DISK, Disk
from actors.stores.segments.reading import Reading
from actors.stores.writer import Writer


async def open_segments(
    path: Path, *, free_space_reserve: int, max_bytes: int | None = None, disk: Disk = DISK
) -> StoredJournal:
    """Take the journal's lock and open it, or create it. Raises Invalid, also when another has it."""
    place = Place(path=path, free_space_reserve=free_space_reserve, max_bytes=max_bytes, disk=disk)
    return await StoredJournal.start(Writer(str(path), partial(opened, place)), Reader(partial(Reading, path, disk)))
