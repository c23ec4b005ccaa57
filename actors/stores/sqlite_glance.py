"""A look at a journal in SQLite that cannot write and needs no lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import apsw
import attrs

from actors.stores.book import BUSY_MS, Place, check_mark, one, run
from helm.contracts.errors import Invalid

SELECT = "SELECT seq, body FROM journal WHERE seq >= ?1 ORDER BY seq LIMIT ?2"
TUNING = "PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF"


@attrs.define(eq=False)
class SqliteGlance:
    """One connection that cannot write. Each read is short, so that the writer's tidying never waits for long."""

    _path: Path
    _connection: apsw.Connection

    def head(self) -> int:
        """Return the number of the last durable row, 0 where there is none. Raises Invalid."""
        with readable(self._path):
            return int(one(self._connection, "SELECT coalesce(max(seq), 0) FROM journal"))

    def page(self, first: int, limit: int) -> list[tuple[int, bytes]]:
        """Return at most `limit` rows from number `first` on. Raises Invalid."""
        with readable(self._path):
            return page(self._connection, first, limit)


@contextmanager
def sqlite_glance(path: Path) -> Iterator[SqliteGlance]:
    """Open the journal at `path` for reading. Raises Invalid where it is something else."""
    with readable(path):
        connection = connect_to_read(path)
    try:
        yield SqliteGlance(path, connection)
    finally:
        connection.close(force=True)


def connect_to_read(path: Path, vfs: str = "") -> apsw.Connection:
    """Open a connection that sees committed rows and can write none. Raises apsw.Error, Invalid."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY, vfs=vfs or None)
    try:
        connection.set_busy_timeout(BUSY_MS)
        run(connection, TUNING)
        check_mark(connection, str(path))
    except BaseException:
        connection.close()
        raise
    return connection


@attrs.define(eq=False)
class SqliteSource:
    """One connection of the kernel's own reader."""

    _connection: apsw.Connection

    @classmethod
    def open(cls, place: Place) -> SqliteSource:
        """Connect. Raises apsw.Error, Invalid."""
        return cls(connect_to_read(place.path, place.vfs))

    def short_page(self, first: int, limit: int, room: int) -> list[tuple[int, bytes]]:
        """Return rows as `short_page` does. Raises apsw.Error."""
        return short_page(self._connection, first, limit, room)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


def page(connection: apsw.Connection, first: int, limit: int) -> list[tuple[int, bytes]]:
    """Return at most `limit` rows from number `first` on, ascending. Raises apsw.Error."""
    rows = connection.execute(SELECT, (first, limit)).fetchall()
    return cast(list[tuple[int, bytes]], rows)  # the table is STRICT


def short_page(connection: apsw.Connection, first: int, limit: int, room: int) -> list[tuple[int, bytes]]:
    """Return like `page`, but stop behind the row that makes it more than `room` bytes. Raises apsw.Error."""
    rows: list[tuple[int, bytes]] = []
    cursor = connection.cursor()
    try:
        for seq, body in cursor.execute(SELECT, (first, limit)):
            rows.append((seq, body))
            room -= len(body)
            if room < 0:
                break
    finally:
        cursor.close(force=True)
    return rows


def sqlite_version() -> str:
    """Return the version of the SQLite that keeps journals: its own, not the one of the standard library."""
    return apsw.sqlite_lib_version()


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Name the journal, whatever SQLite finds wrong with it. Raises Invalid."""
    try:
        yield
    except apsw.Error as error:
        raise Invalid(f"the journal cannot be read: {error}", str(path)) from error
