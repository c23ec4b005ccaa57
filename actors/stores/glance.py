"""A journal looked at by a process that is not its writer: read-only, page by page, beside a running kernel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw
import attrs

from actors.stores.book import BUSY_MS, check_mark, one
from actors.stores.reader import SELECT, TUNING
from helm.contracts.errors import Invalid


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
            return [(seq, body) for seq, body in self._connection.execute(SELECT, (first, limit))]


@contextmanager
def glance(path: Path) -> Iterator[Glance]:
    """Open the journal at `path` for reading. Raises Invalid where there is none, or where it is something else."""
    if not path.exists():
        raise Invalid("there is no journal yet", str(path), "`helm serve` begins one with its first start")
    with readable(path):
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        with readable(path):
            connection.set_busy_timeout(BUSY_MS)
            connection.execute(TUNING).fetchall()
            check_mark(connection, str(path))
        yield Glance(path, connection)
    finally:
        with suppress(apsw.Error):
            connection.close()


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
