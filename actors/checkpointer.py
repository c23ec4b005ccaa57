"""The checkpointer: has a checkpoint taken when something new has waited for one long enough."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

import attrs
import trio

from actors.commands.checkpoints import TakeCheckpoint
from actors.commands.command import Command
from actors.notary import Notary
from actors.process.clock import Clock
from helm.proofgraph.checkpoint import Cause


@attrs.define
class Checkpointer:
    """Keeps the interval on this process's own clock; the time of day says only how much of it a restart has left."""

    notary: Notary
    clock: Clock
    interval_s: float
    command: Callable[[Command], Awaitable[Any]]

    async def run(self) -> NoReturn:
        """Ask for a checkpoint once per interval. Where nothing came, none is written."""
        nap_s = self._left_s()
        while True:
            await trio.sleep(nap_s)
            await self.command(TakeCheckpoint(Cause.TIME))
            nap_s = self.interval_s

    def _left_s(self) -> float:
        """Return what is left of the interval that the last checkpoint began, the whole where there is none."""
        if self.interval_s == 0:
            return float("inf")
        if self.notary.latest is None:
            return self.interval_s
        passed_s = (self.clock.now_ms() - self.notary.latest.content.issued_at_ms) / 1000
        return min(max(0.0, self.interval_s - passed_s), self.interval_s)
