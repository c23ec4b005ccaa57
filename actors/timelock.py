"""The timelock: keeps the hours of all that waits for a human, or that one may still stop, on the kernel's clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from heapq import heappop, heappush
from typing import Any, NoReturn

import attrs
import trio

from actors.commands.approvals import ExpireApprovals, UnlockApprovals
from actors.commands.command import Command
from actors.commands.policy import PassRaise
from actors.process.clock import Clock
from helm.guardian.ceremony import ENDING, Ceremony
from helm.guardian.memory import Memory

LONGEST_NAP_S = 60.0
"""How long it sleeps at most: a wall clock that was set forward is noticed within a minute."""

AT_ONCE = 1000
"""Waits that one event ends: callers choose how many there are, and an event without bounds is one that no start
reads back (T4)."""


@attrs.define
class Timelock:
    """Opens each ceremony at the end of its timelock, ends it at its deadline, and lets a raise of P0 ceilings pass.

    After a restart both hours are read back from the journal. What anybody else's clock says is never asked.
    """

    memory: Memory
    clock: Clock
    command: Callable[[Command], Awaitable[Any]]
    _deadlines: list[tuple[int, str]] = attrs.field(factory=list, init=False, repr=False)
    """A heap of (ms, approval_id): many may wait, and each look must be cheap (T4)."""
    _minded: set[tuple[int, str]] = attrs.field(factory=set, init=False, repr=False)
    """What is in the heap, each once: one intent may be asked for a million times before its deadline."""
    _woken: trio.Event = attrs.field(factory=trio.Event, init=False)

    def watch(self, approval_id: str) -> None:
        """Mind the hours of a ceremony that may just have been opened; what is minded already stays so."""
        ceremony = self.memory.approvals.ceremonies.get(approval_id)
        if ceremony is not None and ceremony.state in ENDING:
            for at_ms in hours(ceremony):
                if (at_ms, approval_id) not in self._minded:
                    self._mind((at_ms, approval_id))

    def look(self) -> None:
        """Look again: a raise may wait that did not wait before."""
        self._woken.set()

    async def run(self) -> NoReturn:
        """Open and end what is due, then sleep until the next hour or until an earlier one is minded."""
        for ceremony in self.memory.approvals.running():
            self.watch(ceremony.approval_id)
        while True:
            self._woken = trio.Event()
            if 0 < self.memory.precedence.due_at_ms <= self.clock.now_ms():
                await self.command(PassRaise())
                continue
            late = self._late(self.clock.now_ms())
            if late:
                await self.command(UnlockApprovals(late))
                await self.command(ExpireApprovals(late))
                for approval_id in late:  # its deadline is yet to come, or a clock was set back in between
                    self.watch(approval_id)
                continue
            with trio.move_on_after(self._nap_s()):
                await self._woken.wait()

    def _mind(self, hour: tuple[int, str]) -> None:
        heappush(self._deadlines, hour)
        self._minded.add(hour)
        if self._deadlines[0] is hour:
            self._woken.set()

    def _late(self, now_ms: int) -> list[str]:
        late: list[str] = []
        while self._deadlines and self._deadlines[0][0] <= now_ms and len(late) < AT_ONCE:
            hour = heappop(self._deadlines)
            self._minded.discard(hour)
            late.append(hour[1])
        return list(dict.fromkeys(late))

    def _nap_s(self) -> float:
        due_at_ms = self.memory.precedence.due_at_ms
        hours = [at_ms for at_ms, _ in self._deadlines[:1]] + ([due_at_ms] if due_at_ms else [])
        if not hours:
            return LONGEST_NAP_S
        return max(0.0, min((min(hours) - self.clock.now_ms()) / 1000, LONGEST_NAP_S))


def hours(ceremony: Ceremony) -> tuple[int, ...]:
    """Return when something happens to the ceremony by itself."""
    if ceremony.unlocked:
        return (ceremony.expires_at_ms,)
    return (ceremony.timelock_until_ms, ceremony.expires_at_ms)
