"""The timelock: keeps the deadlines of everything that waits for a human, on the kernel's own clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from heapq import heappop, heappush
from typing import Any, NoReturn

import attrs
import trio

from actors.clock import Clock
from actors.commands.approvals import ExpireApprovals
from actors.commands.command import Command
from helm.guardian.memory import Memory

LONGEST_NAP_S = 60.0
"""How long it sleeps at most: a wall clock that was set forward is noticed within a minute."""

AT_ONCE = 1000
"""Waits that one event ends: callers choose how many there are, and an event without bounds is one that no start
reads back (T4)."""


@attrs.define
class Timelock:
    """Ends each wait at its deadline. After a restart the deadlines are read back from the journal."""

    memory: Memory
    clock: Clock
    command: Callable[[Command], Awaitable[Any]]
    _deadlines: list[tuple[int, str]] = attrs.field(factory=list, init=False, repr=False)
    """A heap of (ms, approval_id): many may wait, and each look must be cheap (T4)."""
    _minded: set[str] = attrs.field(factory=set, init=False, repr=False)
    """Whose deadlines are in the heap, each once: one intent may be asked for a million times before its deadline."""
    _woken: trio.Event = attrs.field(factory=trio.Event, init=False)

    def watch(self, approval_id: str) -> None:
        """Mind the deadline of an approval that may just have been parked; one that waits already is minded."""
        parked = self.memory.approvals.parked.get(approval_id)
        if parked is not None and parked.state == "PENDING" and approval_id not in self._minded:
            self._mind((parked.expires_at_ms, approval_id))

    async def run(self) -> NoReturn:
        """Expire what is due, then sleep until the next deadline or until an earlier one is minded."""
        for parked in self.memory.approvals.pending():
            self._mind((parked.expires_at_ms, parked.approval_id))
        while True:
            self._woken = trio.Event()
            late = self._late(self.clock.now_ms())
            if late:
                await self.command(ExpireApprovals(late))
                for approval_id in late:  # a clock that was set back in between let it wait on
                    self.watch(approval_id)
                continue
            with trio.move_on_after(self._nap_s()):
                await self._woken.wait()

    def _mind(self, deadline: tuple[int, str]) -> None:
        heappush(self._deadlines, deadline)
        self._minded.add(deadline[1])
        if self._deadlines[0] is deadline:
            self._woken.set()

    def _late(self, now_ms: int) -> list[str]:
        late: list[str] = []
        while self._deadlines and self._deadlines[0][0] <= now_ms and len(late) < AT_ONCE:
            approval_id = heappop(self._deadlines)[1]
            self._minded.discard(approval_id)
            late.append(approval_id)
        return late

    def _nap_s(self) -> float:
        if not self._deadlines:
            return LONGEST_NAP_S
        return min((self._deadlines[0][0] - self.clock.now_ms()) / 1000, LONGEST_NAP_S)
