"""What a journal in SQLite leaves on the disk."""

import os
from pathlib import Path

from actors.stores.book import CHECKPOINT_PAGES, PAGE_BYTES
from tests.actors.stores.journals import SQLITE, rows_of


async def test_closing_leaves_one_file_and_its_lock(tmp_path: Path) -> None:
    async with SQLITE.journal_at(tmp_path / "journal.db") as journal:
        await journal.append([b"a"])
        await rows_of(journal)
    assert sorted(os.listdir(tmp_path)) == ["journal.db", "journal.db.lock"]


async def test_the_log_stays_short_under_a_long_load(tmp_path: Path) -> None:
    rows = [b"x" * 2500] * 64
    async with SQLITE.journal_at(tmp_path / "journal.db") as journal:
        for _ in range(100):
            await journal.append(rows)
        log = tmp_path / "journal.db-wal"
        assert log.stat().st_size < 3 * CHECKPOINT_PAGES * PAGE_BYTES
