"""A look at a journal that cannot write and needs no lock: beside its running kernel, or without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import apsw
import attrs

from actors.stores.book import BUSY_MS, check_mark, one, run
from helm.contracts.errors import Invalid

SELECT = "SELECT seq, body FROM journal WHERE seq >= ?1 ORDER BY seq LIMIT ?2"
TUNING = "PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF"

MAX_PAGE_BYTES = 8 * 1024 * 1024
"""Most of a page that a kernel reads at once, but for its last row: callers choose how long their rows are, and
256 of the longest would be half a gigabyte (T4)."""


@attrs.define(eq=False)
class Glance:
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
def glance(path: Path) -> Iterator[Glance]:
    """Open the journal at `path` for reading. Raises Invalid where there is none, or where it is something else."""
    if not path.exists():
        raise Invalid("there is no journal yet", str(path), "`helm serve` begins one with its first start")
    with readable(path):
        connection = connect_to_read(path)
    try:
        yield Glance(path, connection)
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


def page(connection: apsw.Connection, first: int, limit: int) -> list[tuple[int, bytes]]:
    """Return at most `limit` rows from number `first` on, ascending. Raises apsw.Error."""
    rows = connection.execute(SELECT, (first, limit)).fetchall()
    return cast(list[tuple[int, bytes]], rows)  # the table is STRICT


def short_page(connection: apsw.Connection, first: int, limit: int) -> list[tuple[int, bytes]]:
    """Return like `page`, but stop behind the row that makes it more than MAX_PAGE_BYTES. Raises apsw.Error."""
    rows: list[tuple[int, bytes]] = []
    room = MAX_PAGE_BYTES
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
