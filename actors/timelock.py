"""The timelock: keeps the deadlines of everything that waits for a human, on the kernel's own clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import attrs
import trio

from actors.clock import Clock
from actors.commands import Command, ExpireApprovals
from helm.guardian.memory import Memory

LONGEST_NAP_S = 60.0
"""How long it sleeps at most: a wall clock that was set forward is noticed within a minute."""


@attrs.define
class Timelock:
    """Ends each wait at its deadline. After a restart the deadlines are read back from the journal."""

    memory: Memory
    clock: Clock
    command: Callable[[Command], Awaitable[Any]]
    _woken: trio.Event = attrs.field(factory=trio.Event, init=False)

    def wake(self) -> None:
        """Look again: something was parked."""
        self._woken.set()

    async def run(self) -> NoReturn:
        """Expire what is due, then sleep until the next deadline or until something is parked."""
        while True:
            self._woken = trio.Event()
            deadline_ms = self.memory.approvals.next_deadline_ms()
            nap_s = LONGEST_NAP_S if deadline_ms is None else (deadline_ms - self.clock.now_ms()) / 1000
            if nap_s <= 0:
                await self.command(ExpireApprovals())
                continue
            with trio.move_on_after(min(nap_s, LONGEST_NAP_S)):
                await self._woken.wait()
