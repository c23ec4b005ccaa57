"""What the stores cost by themselves: the journal's appends and reads, the index's notes, flushes and look-ups.

`python -m bench.stores [directory]` measures on the disk of that directory and prints one JSON object, in microseconds.
Where DATABASE_URL names an empty PostgreSQL database, that is measured too, and keeps the rows.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import apsw
import trio

from actors.stores.book import CHECKPOINT_PAGES, TUNING
from actors.stores.index import IdIndex
from actors.stores.journal import StoredJournal
from actors.stores.postgres.journal import open_postgres
from actors.stores.segments.journal import open_segments
from actors.stores.sqlite import open_sqlite
from helm.database import Database

ROUNDS = 300
ROWS_PER_BATCH = (1, 16, 64, 128)
ROW_BYTES = (4600, 2100)
"""An intent, and an effect with its receipt: what a call of this bench writes."""
BUSY_S = 0.0003
"""Python work between two batches, as of signing and judging: it takes the caches and the interpreter's lock."""
PAGE = 256
KEYS = 300_000


def rows_of(count: int, lengths: Sequence[int] = ROW_BYTES) -> list[bytes]:
    """Return incompressible rows of these lengths in turn."""
    return [os.urandom(lengths[number % len(lengths)]) for number in range(count)]


def busy(seconds: float) -> None:
    """Hold the interpreter's lock with Python work."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass


def bare_commit_us(directory: Path, lengths: Sequence[int] = ROW_BYTES) -> float:
    """Return the median of a one-row durable commit without thread, loop or handover, of rows of these lengths."""
    connection = apsw.Connection(str(directory / "bare.db"))
    connection.execute("PRAGMA journal_mode = WAL").fetchall()
    connection.execute(TUNING + f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}").fetchall()
    connection.execute("CREATE TABLE bare(seq INTEGER PRIMARY KEY, body BLOB)")
    took = []
    for row in rows_of(ROUNDS, lengths):
        busy(BUSY_S)
        start = time.perf_counter()
        connection.execute("INSERT INTO bare(body) VALUES(?1)", (row,))
        took.append(time.perf_counter() - start)
    connection.close()
    return median(took) * 1e6


async def each_us(work: Callable[[], Awaitable[object]], rounds: int = ROUNDS) -> dict[str, float]:
    """Return median and 99th percentile of `work`, done again and again with Python work between."""
    took = []
    for _ in range(rounds):
        busy(BUSY_S)
        start = time.perf_counter()
        await work()
        took.append((time.perf_counter() - start) * 1e6)
    took.sort()
    return {"p50": round(median(took), 1), "p99": round(took[len(took) * 99 // 100], 1)}


async def journal_us(journal: StoredJournal) -> dict[str, object]:
    """Return what an append of each size costs, and a page of reads."""
    figures: dict[str, object] = {}
    for count in ROWS_PER_BATCH:
        rows = rows_of(count)
        figures[f"append {count} rows"] = await each_us(lambda rows=rows: journal.append(rows))  # type: ignore[misc]
    figures[f"read {PAGE} rows"] = await each_us(lambda: journal.read(1, PAGE))
    await journal.aclose()
    return figures


async def index_us(directory: Path) -> dict[str, object]:
    """Return what a key costs to note and to write down, and to find on disk among `KEYS` others."""
    index = await IdIndex.open(directory / "index.db", "bench")
    notes, flushes = [], []
    for first in range(0, KEYS, 15_000):
        keys = [f"rcpt_{os.urandom(16).hex()}" for _ in range(15_000)]
        start = time.perf_counter()
        for seq, key in enumerate(keys, start=first):
            index.note(key, seq)
        notes.append((time.perf_counter() - start) / len(keys) * 1e6)
        start = time.perf_counter()
        await index.flush(first + len(keys))
        flushes.append((time.perf_counter() - start) / len(keys) * 1e6)
    found = await each_us(lambda: index.find(keys[0]))
    await index.aclose()
    return {"note": round(median(notes), 3), "flush per key": round(median(flushes), 3), "find": found}


async def main(parent: str | None) -> None:
    """Measure in a directory of its own below `parent`."""
    with TemporaryDirectory(prefix="helm-bench-", dir=parent) as name:
        directory = Path(name)
        bare = bare_commit_us(directory)
        figures = {
            "bare one-row commit of SQLite": round(bare, 1),
            "sqlite": await journal_us(await open_sqlite(directory / "journal.sqlite", free_space_reserve=0)),
            "segments": await journal_us(await open_segments(directory / "journal", free_space_reserve=0)),
            "index": await index_us(directory),
        }
        if url := os.environ.get("DATABASE_URL", ""):
            server = await open_postgres(Database(url), beside=directory, free_space_reserve=0)
            figures["postgresql"] = await journal_us(server)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    trio.run(main, sys.argv[1] if len(sys.argv) > 1 else None)
