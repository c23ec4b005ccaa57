"""The simulated disk before a real store: it hangs and fails as a test tells it to, and what it keeps, the store keeps.

So one suite runs on every store: the next kernel reads what the last one left from the store itself, and both must
agree with what the simulation remembers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import inf
from pathlib import Path
from tempfile import mkdtemp
from weakref import WeakKeyDictionary

import attrs
import trio
from trio.testing import MockClock

from actors.stores.journal import StoredJournal
from tests.actors.stores.journals import Store
from tests.actors.stores.simulated import SimulatedJournal

PAGE = 512

HELD: WeakKeyDictionary[MockClock, list[float]] = WeakKeyDictionary()
"""Of each clock that is held: how often, and how soon it jumped before."""


@contextmanager
def held_clock() -> Iterator[None]:
    """Keep a simulated clock from jumping while a real store works: to it, a commit takes no time."""
    clock = trio.lowlevel.current_clock()
    if not isinstance(clock, MockClock):
        yield
        return
    threshold = clock.autojump_threshold
    held = HELD.setdefault(clock, [0, threshold])
    held[0] += 1
    clock.autojump_threshold = inf
    try:
        yield
    finally:
        held[0] -= 1
        if not held[0]:
            clock.autojump_threshold = HELD.pop(clock)[1]


@attrs.define(eq=False)
class KeptJournal(SimulatedJournal):
    """The Journal port on a store's own journal, with the simulated disk's whims before it."""

    real: StoredJournal = attrs.field(kw_only=True)
    store: Store = attrs.field(kw_only=True)
    place: Path = attrs.field(kw_only=True)
    kept: list[bytes] = attrs.field(kw_only=True)
    """What the store was given: a test may edit `rows`, for the next process to find."""
    is_open: bool = attrs.field(default=True, init=False)

    @classmethod
    async def after(cls, last: SimulatedJournal, store: Store, directory: Path) -> KeptJournal:
        """Return the journal that the next process opens, on what the last one left."""
        if isinstance(last, KeptJournal):
            await last.give_back()
            if last.rows == last.kept:
                return await cls.at(last.place, store, last.rows)
        place = Path(mkdtemp(prefix="disk-", dir=directory))
        found = await cls.at(place, store, [])
        with held_clock():
            for first in range(0, len(last.rows), PAGE):
                await found.real.append(last.rows[first : first + PAGE])
        found.kept, found.rows = list(last.rows), list(last.rows)
        return found

    @classmethod
    async def at(cls, place: Path, store: Store, rows: list[bytes]) -> KeptJournal:
        """Open the journal in `place`, which must hold exactly these rows."""
        with held_clock():
            real = await store.open(place / store.name)
            found = await all_of(real)
        assert found == rows, "the store does not hold what it was given"
        return cls(real=real, store=store, place=place, kept=list(rows), rows=found)

    async def _keep(self, rows: Sequence[bytes]) -> int:
        if self._takes() and self.is_open:
            with held_clock():
                assert await self.real.append(rows) == len(self.kept) + 1
            self.kept.extend(rows)
        return await super()._keep(rows)

    async def read(self, first: int, limit: int) -> list[tuple[int, bytes]]:
        """As the port says, from the store."""
        found = await super().read(first, limit)
        if self.is_open and self.rows == self.kept and found:
            with held_clock():
                assert await self.real.read(first, limit) == found
        return found

    async def aclose(self) -> None:
        """Wait until the writer has ended, on a disk that hangs for ever; the store itself is given back at once."""
        await self.give_back()
        await super().aclose()

    async def give_back(self) -> None:
        """Close the store, as the end of a process does."""
        if self.is_open:
            self.is_open = False
            with trio.CancelScope(shield=True), held_clock():
                await self.real.aclose()


async def all_of(journal: StoredJournal) -> list[bytes]:
    """Return every row."""
    rows: list[bytes] = []
    while len(rows) < journal.head:
        rows += [row for _, row in await journal.read(len(rows) + 1, PAGE)]
    return rows
