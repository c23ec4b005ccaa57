"""Pages of committed rows, read in a worker thread beside the writer."""

from __future__ import annotations

import apsw
import attrs
import trio

from actors.stores.book import Place
from actors.stores.glance import connect_to_read, short_page


@attrs.define(eq=False)
class Reader:
    """One connection, one read at a time; short reads, so that none holds up the emptying of the log."""

    place: Place
    _connection: apsw.Connection | None = attrs.field(default=None, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _turn: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1), init=False)

    async def read(self, first: int, limit: int) -> list[tuple[int, bytes]]:
        """Return at most `limit` rows from number `first` on, fewer of long ones. Raises apsw.Error."""
        return await trio.to_thread.run_sync(self._read, first, limit, abandon_on_cancel=True, limiter=self._turn)

    async def aclose(self) -> None:
        """Close after the read that is under way. Idempotent."""
        await trio.to_thread.run_sync(self._close, abandon_on_cancel=True, limiter=self._turn)

    def _read(self, first: int, limit: int) -> list[tuple[int, bytes]]:
        if self._closed:
            raise apsw.ConnectionClosedError("the journal is closed")
        if self._connection is None:
            self._connection = connect_to_read(self.place.path, self.place.vfs)
        return short_page(self._connection, first, limit)

    def _close(self) -> None:
        self._closed = True
        if self._connection is not None:
            self._connection.close()
