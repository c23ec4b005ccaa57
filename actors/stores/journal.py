"""The journal port on a disk: batches go to the writer's thread, pages are read beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

import attrs
import trio

from actors.stores.port import JournalFailed
from actors.stores.reader import Reader
from actors.stores.snapshot import Keeper, Snapshot
from actors.stores.writer import DISK_ERRORS, Batch, Book, Chore, Writer
from helm.contracts.errors import Broken, Invalid


@attrs.define(eq=False)
class StoredJournal:
    """One journal, open for writing by this process alone."""

    _writer: Writer
    _reader: Reader

    @classmethod
    async def start(cls, writer: Writer, reader: Reader) -> Self:
        """Have the writer take the journal's lock and open it, or create it. Raises Invalid."""
        writer.start()
        try:
            await writer.opened.wait(patience_s=0)
        except BaseException:
            writer.stop()
            raise
        if writer.refusal is not None:
            await writer.ended.wait()
            raise writer.refusal
        return cls(writer, reader)

    @property
    def head(self) -> int:
        """The number of the last durable row."""
        return self._writer.head

    @property
    def low_space(self) -> bool:
        """True while less than the reserve is free; at most a quarter of a second old."""
        return self._writer.low_space

    async def append(
        self, rows: Sequence[bytes], meanwhile: Callable[[], None] | None = None, *, alone: bool = True
    ) -> int:
        """Make the rows durable and return the number of the first, as the port says. Raises JournalFailed."""
        if not rows:
            raise Broken("an empty batch has no first row")
        await trio.lowlevel.checkpoint_if_cancelled()  # the last moment at which "not written" is certain
        batch = Batch(rows=tuple(rows), meanwhile=meanwhile)
        if not (alone and self._writer.write(batch)):
            self._writer.append(batch)
        if not self._writer.failure:  # else the thread may have ended before it could see the batch
            await (batch.wait() if batch.meanwhile is None else batch.wait_beside(batch.pass_time))
        if not batch.first:
            raise JournalFailed(self._writer.failure)
        return batch.first

    async def read(self, first: int, limit: int) -> list[tuple[int, bytes]]:
        """Return at most `limit` rows from number `first` on. Raises JournalFailed."""
        try:
            return await self._reader.read(first, min(limit, self.head - first + 1))
        except (Invalid, *DISK_ERRORS) as error:
            raise JournalFailed(f"{type(error).__name__}: {error}") from error

    async def snapshots(self) -> list[Snapshot]:
        """Return what is kept of the surfaces; none where the store keeps rows alone. Raises JournalFailed."""
        found: list[Snapshot] = []
        await self._have(lambda book: found.extend(book.snapshots() if isinstance(book, Keeper) else ()))
        return found

    async def keep(self, snapshots: Sequence[Snapshot]) -> None:
        """Put these in the place of all that is kept, where the store keeps any. Raises JournalFailed."""
        await self._have(lambda book: book.keep(snapshots) if isinstance(book, Keeper) else None)

    async def _have(self, do: Callable[[Book], object]) -> None:
        """Have something done with the book by the thread that owns it. Raises JournalFailed."""
        chore = Chore(do=do)
        self._writer.append(chore)
        if not self._writer.failure:
            await chore.wait()
        if not chore.was_done:
            raise JournalFailed(self._writer.failure)

    async def aclose(self) -> None:
        """Wait until the thread has closed the journal and given back the lock. Idempotent."""
        try:
            await self._reader.aclose()
        finally:
            self._writer.stop()
            await self._writer.ended.wait(patience_s=0)
