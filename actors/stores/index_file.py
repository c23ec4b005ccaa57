"""The id index on disk, which may be deleted at any time: the journal makes it again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw
import attrs

from actors.stores import runs
from helm.contracts.errors import Invalid

APPLICATION_ID = 0x48454C49  # "HELI"
FORMAT = 2

SCHEMA = """
    CREATE TABLE runs(id INTEGER PRIMARY KEY, keys INTEGER NOT NULL) STRICT;
    CREATE TABLE meta(name TEXT PRIMARY KEY, value ANY NOT NULL) WITHOUT ROWID, STRICT;
"""

TUNING = """
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = NORMAL;  -- a power cut may take the last flushes, which the watermark tells; it tears nothing
    PRAGMA journal_size_limit = 16777216;
    PRAGMA cell_size_check = ON;
    PRAGMA trusted_schema = OFF;
"""

BUSY_MS = 10_000
"""A kernel that was given up on may still be at its last flush when the next one begins; and a look-up may come
just when the log is reset."""


@attrs.define(eq=False)
class IndexFile:
    """One connection for writing, one for reading, so that no look-up waits for a flush."""

    _path: Path
    _writing: apsw.Connection
    _reading: apsw.Connection
    watermark: int

    def write(self, keys: Mapping[str, int], watermark: int) -> None:
        """Put the keys in, and the watermark with them. Raises apsw.Error."""
        with self._writing:
            if keys:
                runs.add(self._writing, keys)
            self._writing.execute("UPDATE meta SET value = max(value, ?1) WHERE name = 'watermark'", (watermark,))
        self.watermark = max(self.watermark, watermark)

    def merge(self) -> None:
        """Merge what is due. Raises apsw.Error."""
        runs.merge(self._writing)

    def find(self, key: str) -> int | None:
        """Return the row that the key stands for. Raises apsw.Error."""
        return runs.find(self._reading, key)

    def page(self, prefix: str, after: str, limit: int) -> dict[str, int]:
        """Return the first keys that begin with `prefix` and sort behind `after`. Raises apsw.Error."""
        return runs.page(self._reading, prefix, after, limit)

    def explain(self, error: apsw.Error) -> str:
        """Say what went wrong; where the file itself is at fault, see to it that the next start makes another."""
        if isinstance(error, apsw.CorruptError | apsw.NotADBError):
            discard(self._path)
        return f"{type(error).__name__}: {error}"

    def close(self) -> None:
        """Idempotent."""
        self._reading.close()
        self._writing.close()


UNFIT = (apsw.CorruptError, apsw.NotADBError, apsw.CantOpenError, apsw.SQLError, LookupError)
"""What another index helps against. A disk that is full or fails is none of these."""


def open_index(path: Path, log_id: str) -> IndexFile:
    """Open the index that follows the journal `log_id`; begin an empty one where none is fit for use.

    Raises Invalid where none can be had.
    """
    try:
        try:
            return connect(path, log_id)
        except UNFIT:
            discard(path)
            create(path, log_id)
        return connect(path, log_id)
    except (apsw.Error, OSError) as error:
        raise Invalid(f"the index of ids cannot be opened: {error}", str(path)) from error


def connect(path: Path, log_id: str) -> IndexFile:
    """Raises LookupError for the index of something else, apsw.Error for what is none."""
    writing = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        writing.set_busy_timeout(BUSY_MS)
        marks = (writing.execute("PRAGMA application_id").get, writing.execute("PRAGMA user_version").get)
        if marks != (APPLICATION_ID, FORMAT):
            raise LookupError("not an index of this format")
        rows: list[tuple[Any, ...]] = writing.execute("SELECT name, value FROM meta").fetchall()
        meta = dict(rows)
        if meta["log_id"] != log_id:
            raise LookupError("the index of another journal")
        writing.execute(TUNING).fetchall()
        reading = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        reading.set_busy_timeout(BUSY_MS)
        return IndexFile(path, writing, reading, meta["watermark"])
    except BaseException:
        writing.close()
        raise


def discard(path: Path) -> None:
    """Take the files away. Who has them open reads on; the next start begins an empty index."""
    for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
        with suppress(FileNotFoundError):
            path.with_name(name).unlink()


def create(path: Path, log_id: str) -> None:
    # Made here, not by SQLite: the names of tenants and sessions are for the eyes of their owner.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    with connection:
        connection.execute(SCHEMA)
        connection.execute("INSERT INTO meta VALUES('log_id', ?1), ('watermark', 0)", (log_id,))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}")
    connection.close()
