"""What the kernel asks of a journal: an append-only list of rows that is durable before anyone hears of it.

MUST for every implementation: rows get the sequence numbers 1, 2, 3, ... without a gap; `append` returns only
when its rows survive a power cut; a batch is there whole or not at all; nothing is retried.
MUST NOT for every caller: read a failed or abandoned append as "not written". Its outcome is unknown until a
fresh process has opened the journal and read it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from helm.contracts.errors import Invalid


class JournalFailed(Exception):
    """The journal is over for this process: what the append wrote is unknown, and nothing more is taken."""


class JournalHeld(Invalid):
    """A journal that cannot be opened for writing: it has a writer already. `holder` says who."""

    def __init__(self, where: str, holder: str, room: str) -> None:
        hint = f"{holder}: commands reach it by --server; another kernel needs its own {room}"
        super().__init__("another kernel writes this journal", where, hint)
        self.holder = holder


class Journal(Protocol):
    """An append-only list of byte strings, numbered from 1, with one writer."""

    @property
    def head(self) -> int:
        """The sequence number of the last durable row; 0 while there is none."""

    @property
    def low_space(self) -> bool:
        """True while less room is left than the reserve that outcomes of running effects need."""

    async def append(
        self, rows: Sequence[bytes], meanwhile: Callable[[], None] | None = None, *, alone: bool = True
    ) -> int:
        """Make all rows durable in one step; return the sequence number of the first. Raises JournalFailed.

        `meanwhile` is for the loop to do while the disk has the rows. Where they are `alone` nothing else can be done
        then, and the loop may stand still for as long as a disk takes that is sound; else only without `meanwhile`.

        A caller that is cancelled abandons the append: the outcome is unknown, and later appends follow it.
        """

    async def read(self, first: int, limit: int) -> list[tuple[int, bytes]]:
        """Return at most `limit` durable rows from number `first` on, ascending. Raises JournalFailed.

        Where rows are long there may be fewer, but never none where there is one.
        """

    async def aclose(self) -> None:
        """Wait until the writer has ended; only then may another open the same journal. Idempotent."""
