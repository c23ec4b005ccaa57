"""A journal in memory whose disk does what a test tells it to: be slow, hang, fail, run full."""

from collections.abc import Callable, Sequence

import attrs
import trio

from actors.stores.port import JournalFailed
from helm.contracts.errors import Broken


def _open_gate() -> trio.Event:
    gate = trio.Event()
    gate.set()
    return gate


@attrs.define(eq=False)
class SimulatedJournal:
    """The Journal port, on Trio's clock alone, so that it runs under a MockClock."""

    rows: list[bytes] = attrs.field(factory=list)
    """What is durable. `SimulatedJournal(rows=list(old.rows))` is what the next process finds."""
    commit_seconds: float = 0.0
    low_space: bool = False
    batches: list[tuple[bytes, ...]] = attrs.field(factory=list, init=False)
    """Every batch that was handed over, in order, also those that failed or hung."""
    beside: int = attrs.field(default=0, init=False)
    """How many batches came with something to be done while the disk has them."""
    alone: list[bool] = attrs.field(factory=list, init=False)
    """Of every batch, whether nothing else could be done then."""
    closed: bool = attrs.field(default=False, init=False)
    _gate: trio.Event = attrs.field(factory=_open_gate, init=False)
    _fails_at: int = attrs.field(default=0, init=False)
    _writes_what_fails: bool = attrs.field(default=False, init=False)
    _failure: str = attrs.field(default="", init=False)
    _turn: trio.Lock = attrs.field(factory=trio.Lock, init=False)

    @property
    def head(self) -> int:
        """The number of the last durable row that was told of."""
        return len(self.rows)

    def hang(self) -> None:
        """From now on no append ends, and neither does closing, until `resume`."""
        if self._gate.is_set():
            self._gate = trio.Event()

    def resume(self) -> None:
        self._gate.set()

    def fail_at(self, batch: int, *, written: bool = False) -> None:
        """Fail the append of this number, the first ever being 1; `written` says what the disk has then."""
        self._fails_at, self._writes_what_fails = batch, written

    async def append(
        self, rows: Sequence[bytes], meanwhile: Callable[[], None] | None = None, *, alone: bool = True
    ) -> int:
        """As the port says. An append that is cancelled while the disk works is written all the same."""
        if not rows:
            raise Broken("an empty batch has no first row")
        await trio.lowlevel.checkpoint()
        async with self._turn:
            self._check()
            self.batches.append(tuple(rows))
            self.alone.append(alone)
            if meanwhile is not None:
                self.beside += 1
                meanwhile()
            try:
                await self._gate.wait()
                await trio.sleep(self.commit_seconds)
            finally:
                first = 0
                if self._gate.is_set():
                    with trio.CancelScope(shield=True):
                        first = await self._keep(rows)
            self._check()
            return first

    async def read(self, first: int, limit: int) -> list[tuple[int, bytes]]:
        """As the port says."""
        await trio.lowlevel.checkpoint()
        if self.closed:
            raise JournalFailed("the journal is closed")
        return [(seq, self.rows[seq - 1]) for seq in range(first, min(first + limit, self.head + 1))]

    async def aclose(self) -> None:
        """Wait until the writer has ended: for ever, on a disk that hangs."""
        self.closed = True
        await self._gate.wait()

    async def _keep(self, rows: Sequence[bytes]) -> int:
        """Have the disk keep what it takes; return the number of the first row."""
        return self._commit(rows)

    def _takes(self) -> bool:
        """Tell whether what was handed over last comes to the disk."""
        return self._writes_what_fails or not (self._failure or len(self.batches) == self._fails_at)

    def _commit(self, rows: Sequence[bytes]) -> int:
        first, takes = self.head + 1, self._takes()
        if len(self.batches) == self._fails_at:
            self._failure = "IOError: the disk is told to fail"
        if takes:
            self.rows.extend(rows)
        return first

    def _check(self) -> None:
        if self._failure or self.closed:
            raise JournalFailed(self._failure or "the journal is closed")
