"""Pages of committed rows, read in a worker thread by a connection that cannot write.

It needs no lock: whoever only looks at a journal, while its kernel runs or does not, reads through this too.
"""

from __future__ import annotations

from typing import cast

import apsw
import attrs
import trio

from actors.stores.book import BUSY_MS, Place, check_mark, run

SELECT = "SELECT seq, body FROM journal WHERE seq >= ?1 ORDER BY seq LIMIT ?2"
TUNING = "PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF"


@attrs.define(eq=False)
class Reader:
    """One connection, one read at a time; short reads, so that none holds up the emptying of the log."""

    place: Place
    _connection: apsw.Connection | None = attrs.field(default=None, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _turn: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1), init=False)

    async def read(self, first: int, limit: int) -> list[tuple[int, bytes]]:
        """Return at most `limit` rows from `first` on. Raises apsw.Error; Invalid for what is no journal."""
        return await trio.to_thread.run_sync(self._read, first, limit, abandon_on_cancel=True, limiter=self._turn)

    async def aclose(self) -> None:
        """Close after the read that is under way. Idempotent."""
        await trio.to_thread.run_sync(self._close, abandon_on_cancel=True, limiter=self._turn)

    def _read(self, first: int, limit: int) -> list[tuple[int, bytes]]:
        if self._closed:
            raise apsw.ConnectionClosedError("the journal is closed")
        if self._connection is None:
            self._connection = self._open()
        rows = self._connection.execute(SELECT, (first, limit)).fetchall()
        return cast(list[tuple[int, bytes]], rows)  # the table is STRICT

    def _open(self) -> apsw.Connection:
        flags = apsw.SQLITE_OPEN_READONLY
        connection = apsw.Connection(str(self.place.path), flags=flags, vfs=self.place.vfs or None)
        connection.set_busy_timeout(BUSY_MS)
        try:
            run(connection, TUNING)
            check_mark(connection, str(self.place.path))
        except BaseException:
            connection.close()
            raise
        return connection

    def _close(self) -> None:
        self._closed = True
        if self._connection is not None:
            self._connection.close()
