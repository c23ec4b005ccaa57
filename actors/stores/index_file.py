"""The id index on disk: a table of keys that may be deleted at any time; the journal makes it again."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw
import attrs

APPLICATION_ID = 0x48454C49  # "HELI"
FORMAT = 1

SCHEMA = """
    CREATE TABLE keys(key BLOB PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID, STRICT;
    CREATE TABLE meta(name TEXT PRIMARY KEY, value ANY NOT NULL) WITHOUT ROWID, STRICT;
"""
"""Keys are blobs: they may hold NUL, at which SQLite's text functions stop; and blobs sort as UTF-8 does."""

TUNING = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA cell_size_check = ON"
"""NORMAL: a power cut may take the last transactions, which the watermark tells, but tears nothing."""

INSERT = """
    WITH seqs AS MATERIALIZED (SELECT rowid AS place, value AS seq FROM carray(?2))
    INSERT OR REPLACE INTO keys(key, seq)
    SELECT keys.value, seqs.seq FROM carray(?1) AS keys JOIN seqs ON seqs.place = keys.rowid ORDER BY 1
"""
"""One step for all keys: each step hands the interpreter's lock over and fights to get it back."""

FIND = "SELECT seq FROM keys WHERE key = ?1"
RANGE = "SELECT key, seq FROM keys WHERE key >= ?1 AND key > ?2 AND key < ?3 ORDER BY key LIMIT ?4"
AFTER_UTF8 = b"\xff"
"""No UTF-8 holds this byte: a prefix with it behind sorts after every key that begins with the prefix."""


@attrs.define(eq=False)
class IndexFile:
    """One connection for writing, one for reading, so that no look-up waits for a flush."""

    _writing: apsw.Connection
    _reading: apsw.Connection
    watermark: int

    def write(self, keys: Mapping[str, int], watermark: int) -> None:
        """Put the keys in, and the watermark with them. Raises apsw.Error."""
        with self._writing:
            if keys:
                names, seqs = tuple(map(str.encode, keys)), array("q", keys.values())
                self._writing.execute(INSERT, (apsw.carray(names), apsw.carray(seqs)))
            self._writing.execute("UPDATE meta SET value = ?1 WHERE name = 'watermark'", (watermark,))
        self.watermark = watermark

    def find(self, key: str) -> int | None:
        """Return the number that the key stands for. Raises apsw.Error."""
        found: int | None = self._reading.execute(FIND, (key.encode(),)).get
        return found

    def range(self, prefix: str, after: str, limit: int) -> dict[str, int]:
        """Return the first keys that begin with `prefix` and sort behind `after`. Raises apsw.Error."""
        start = prefix.encode()
        bounds = (start, after.encode(), start + AFTER_UTF8, limit)
        rows: list[tuple[Any, ...]] = self._reading.execute(RANGE, bounds).fetchall()
        return {key.decode(): seq for key, seq in rows}

    def close(self) -> None:
        self._reading.close()
        self._writing.close()


def open_index(path: Path, log_id: str) -> IndexFile:
    """Open the index that follows the journal `log_id`; begin an empty one where none is fit for use."""
    try:
        return connect(path, log_id)
    except (apsw.Error, LookupError):
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            with suppress(FileNotFoundError):
                path.with_name(name).unlink()
        create(path, log_id)
    return connect(path, log_id)


def connect(path: Path, log_id: str) -> IndexFile:
    """Raises LookupError for an index of something else, apsw.Error for none at all."""
    writing = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        marks = (writing.execute("PRAGMA application_id").get, writing.execute("PRAGMA user_version").get)
        if marks != (APPLICATION_ID, FORMAT):
            raise LookupError("not an index of this format")
        rows: list[tuple[Any, ...]] = writing.execute("SELECT name, value FROM meta").fetchall()
        meta = dict(rows)
        if meta["log_id"] != log_id:
            raise LookupError("the index of another journal")
        writing.execute(TUNING).fetchall()
        reading = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
        return IndexFile(writing, reading, meta["watermark"])
    except BaseException:
        writing.close()
        raise


def create(path: Path, log_id: str) -> None:
    connection = apsw.Connection(str(path))
    with connection:
        connection.execute(SCHEMA)
        connection.execute("INSERT INTO meta VALUES('log_id', ?1), ('watermark', 0)", (log_id,))
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}")
    connection.close()
