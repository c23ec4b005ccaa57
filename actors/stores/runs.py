"""Keys on disk in sorted runs, merged as they come together: what a key costs does not grow with their number.

In one tree of a million random keys, every new key dirties a page of its own. A run is written once, in order,
and read again only to become part of a much longer one.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import apsw

FAN_OUT = 8
"""The newest runs that become one, once the oldest of them is short beside the others. Ten million keys then lie
in some twenty runs, and each was written four or five times."""

CREATE = "CREATE TABLE {run}(key BLOB PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID, STRICT"
"""Keys are blobs: they may hold NUL, at which SQLite's text functions stop; and blobs sort as UTF-8 does."""

INSERT = """
    WITH seqs AS MATERIALIZED (SELECT rowid AS place, value AS seq FROM carray(?2))
    INSERT INTO {run}(key, seq)
    SELECT keys.value, seqs.seq FROM carray(?1) AS keys JOIN seqs ON seqs.place = keys.rowid ORDER BY 1
"""
"""One step for all keys: each step hands the interpreter's lock over and fights to get it back."""

MERGE = "INSERT OR REPLACE INTO {run}(key, seq) {rows} ORDER BY key, seq"
"""Of a key that stands in two runs the higher row comes last, and stays."""

ALL = "SELECT key, seq FROM {run}"
FIND = "SELECT key, seq FROM {run} WHERE key = ?1"
RANGE = "SELECT key, seq FROM {run} WHERE key >= ?1 AND key > ?2 AND key < ?3"

AFTER_UTF8 = b"\xff"
"""No UTF-8 holds this byte: a prefix with it behind sorts after every key that begins with the prefix."""


def add(connection: apsw.Connection, keys: Mapping[str, int]) -> None:
    """Write the keys as a new run. Call it within a transaction."""
    names, seqs = tuple(map(str.encode, keys)), array("q", keys.values())
    with _new_run(connection) as run:
        connection.execute(INSERT.format(run=run), (apsw.carray(names), apsw.carray(seqs)))


def merge(connection: apsw.Connection) -> None:
    """Make one run of the newest ones, as long as that is due; each time in a transaction of its own."""
    while ids := _due(connection):
        with connection:
            with _new_run(connection) as run:
                connection.execute(MERGE.format(run=run, rows=_union(ALL, ids)))
            for merged in ids:
                connection.execute(f"DROP TABLE run_{merged}")
            connection.execute("DELETE FROM runs WHERE id BETWEEN ?1 AND ?2", (min(ids), max(ids)))


def find(connection: apsw.Connection, key: str) -> int | None:
    """Return the highest row that the key was noted for, or None."""
    with connection:
        rows = [seq for _, seq in _look(connection, FIND, (key.encode(),))]
    return max(rows, default=None)


def page(connection: apsw.Connection, prefix: str, after: str, limit: int) -> dict[str, int]:
    """Return the first keys that begin with `prefix` and sort behind `after`, in order."""
    found: dict[str, int] = {}
    start = prefix.encode()
    with connection:
        for name, seq in _look(connection, RANGE, (start, after.encode(), start + AFTER_UTF8)):
            key = name.decode()
            if len(found) == limit and key not in found:
                break
            found[key] = seq
    return found


def _due(connection: apsw.Connection) -> tuple[int, ...]:
    """Return the runs to be merged now, or none: the newest, when the oldest of them is short beside the rest."""
    newest = _rows(connection, "SELECT id, keys FROM runs ORDER BY id DESC LIMIT ?1", (FAN_OUT,))
    sizes = [size for _, size in newest]
    if len(newest) < FAN_OUT or 4 * sizes[-1] > sum(sizes[:-1]):
        return ()
    return tuple(number for number, _ in newest)


@contextmanager
def _new_run(connection: apsw.Connection) -> Iterator[str]:
    """Make a table for a run, and note how many keys it was given."""
    connection.execute("INSERT INTO runs(keys) VALUES(0)")
    number = connection.last_insert_rowid()
    run = f"run_{number}"
    connection.execute(CREATE.format(run=run))
    yield run
    connection.execute("UPDATE runs SET keys = ?1 WHERE id = ?2", (connection.changes(), number))


def _look(connection: apsw.Connection, select: str, bindings: tuple[bytes, ...]) -> Iterable[tuple[Any, ...]]:
    """What all runs hold, in order. Call it within a transaction: a merge takes runs away between two steps."""
    ids = [number for (number,) in _rows(connection, "SELECT id FROM runs")]
    return connection.execute(f"{_union(select, ids)} ORDER BY key, seq", bindings) if ids else ()


def _union(select: str, ids: Iterable[int]) -> str:
    return " UNION ALL ".join(select.format(run=f"run_{number}") for number in ids)


def _rows(connection: apsw.Connection, sql: str, bindings: tuple[int, ...] = ()) -> list[tuple[Any, ...]]:
    return connection.execute(sql, bindings).fetchall()
