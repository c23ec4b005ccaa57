"""Where in the journal an id stands: a fold that follows the journal and knows how far it has come."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NoReturn, TypeVar

import apsw
import attrs
import trio

from actors.stores.index_file import IndexFile, open_index

T = TypeVar("T")

DUE = 16_384
"""Keys in memory after which they are written down: a few megabytes, a transaction of some milliseconds."""

POLL_S = 0.25
FLUSH_EVERY_S = 5.0
"""An index that is idle is no further behind than this, so that the next start has little to fold."""


class IndexFailed(Exception):
    """The index cannot be read or written. What it held is in the journal; the next start folds it again."""


@attrs.define(eq=False)
class IdIndex:
    """Keys in memory over keys on disk. A key is in view from `note` on, and stays in view."""

    _file: IndexFile
    watermark: int
    """Every row up to this one has its keys on disk; `note` again the keys of all rows behind it."""
    _fresh: dict[str, int] = attrs.field(factory=dict, init=False)
    _leaving: dict[str, int] = attrs.field(factory=dict, init=False)
    """On their way to disk: in view until the transaction that holds them is committed."""
    _writers_turn: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1), init=False)
    _readers_turn: trio.CapacityLimiter = attrs.field(factory=lambda: trio.CapacityLimiter(1), init=False)

    @classmethod
    async def open(cls, path: Path, log_id: str) -> IdIndex:
        """Open the index of the journal `log_id`, or begin an empty one with watermark 0."""
        file = await trio.to_thread.run_sync(open_index, path, log_id, abandon_on_cancel=True)
        return cls(file, file.watermark)

    def note(self, key: str, seq: int) -> None:
        """Say where a key stands. Rows come in order, and all keys of a row without an await between them."""
        self._fresh[key] = seq

    @property
    def due(self) -> bool:
        """True when memory holds enough to be written down."""
        return len(self._fresh) > DUE

    async def find(self, key: str) -> int | None:
        """Return the row that the key stands for, or None."""
        for overlay in (self._fresh, self._leaving):
            if key in overlay:
                return overlay[key]
        return await self._in_thread(partial(self._file.find, key), self._readers_turn)

    async def range(self, prefix: str, after: str, limit: int) -> list[tuple[str, int]]:
        """Return at most `limit` keys that begin with `prefix` and sort behind `after`, in order."""
        memory = {
            key: seq
            for overlay in (self._leaving, self._fresh)  # the newer last: it has the last word
            for key, seq in overlay.items()
            if key.startswith(prefix) and key > after
        }
        page = partial(self._file.page, prefix, after, limit)
        disk = await self._in_thread(page, self._readers_turn)
        return sorted((disk | memory).items())[:limit]

    async def flush(self, upto_seq: int) -> None:
        """Write down what memory holds: every key of the rows above the watermark up to `upto_seq`."""
        leaving = self._leaving | self._fresh if self._leaving else self._fresh
        self._leaving, self._fresh = leaving, {}
        await self._in_thread(partial(self._file.write, leaving, upto_seq), self._writers_turn)
        if self._leaving is leaving:  # else a later flush took it along
            self._leaving = {}
        self.watermark = max(self.watermark, upto_seq)
        await self._in_thread(self._file.merge, self._writers_turn)

    async def run(self) -> NoReturn:
        """Flush whenever enough has come together, or some seconds have passed."""
        flushed_at = trio.current_time()
        while True:
            await trio.sleep(POLL_S)
            is_idle = trio.current_time() - flushed_at >= FLUSH_EVERY_S
            if self.due or (is_idle and self._fresh):
                await self.flush(self._last_noted())
                flushed_at = trio.current_time()

    async def aclose(self) -> None:
        """Write down the rest and close. An index that could not be closed heals at the next start."""
        with suppress(IndexFailed):
            if self._fresh or self._leaving:
                await self.flush(self._last_noted())
        async with self._writers_turn:
            await self._in_thread(self._file.close, self._readers_turn)

    def _last_noted(self) -> int:
        return max(next(reversed(overlay.values()), 0) for overlay in (self._fresh, self._leaving))

    async def _in_thread(self, work: Callable[[], T], turn: trio.CapacityLimiter) -> T:
        try:
            return await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=turn)
        except apsw.Error as error:
            raise IndexFailed(self._file.explain(error)) from error
