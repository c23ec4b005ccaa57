"""Pages of committed rows, read in a worker thread beside the writer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import attrs
import trio

MAX_PAGE_BYTES = 8 * 1024 * 1024
"""Most of a page that a kernel reads at once, but for its last row: callers choose how long their rows are, and
256 of the longest would be half a gigabyte (T4)."""


class Source(Protocol):
    """What the reader's thread reads from. Errors are those of the disk, or Invalid."""

    def short_page(self, first: int, limit: int, room: int) -> list[tuple[int, bytes]]:
        """Return at most `limit` rows from number `first` on, none behind the one that makes it more than `room`."""

    def close(self) -> None:
        """Give back what is open."""


@attrs.define(eq=False)
class Reader:
    """One source, one read at a time; short reads, so that none holds up the writer's tidying."""

    _open: Callable[[], Source]
    _source: Source | None = attrs.field(default=None, init=False)
    _closed: bool = attrs.field(default=False, init=False)
    _turn: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1), init=False)

    async def read(self, first: int, limit: int) -> list[tuple[int, bytes]]:
        """Return at most `limit` rows from number `first` on, fewer of long ones. Raises what the source raises."""
        return await trio.to_thread.run_sync(self._read, first, limit, abandon_on_cancel=True, limiter=self._turn)

    async def aclose(self) -> None:
        """Close after the read that is under way. Idempotent."""
        await trio.to_thread.run_sync(self._close, abandon_on_cancel=True, limiter=self._turn)

    def _read(self, first: int, limit: int) -> list[tuple[int, bytes]]:
        if self._closed:
            raise OSError("the journal is closed")
        if self._source is None:
            self._source = self._open()
        return self._source.short_page(first, limit, MAX_PAGE_BYTES)

    def _close(self) -> None:
        self._closed = True
        if self._source is not None:
            self._source.close()
