"""How long the loop stands still for a guest: its thread needs the loop's processor and lock more than the loop does.

To wait through the loop's queue costs as much as a short guest, so the loop waits on a lock for those that are short.
"""

from __future__ import annotations

import threading
from time import perf_counter

import attrs
import trio

PATIENCE_S = 0.0005
"""How long the loop stands still for one guest, four times what a short one takes, and for one after the other before
it has gone round (T4)."""


@attrs.define(eq=False)
class Patience:
    """The patience with the guests of one module: the last one says whether the next one is waited for."""

    is_short: bool = True
    _stood_s: float = 0.0

    async def wait(self, unfinished: threading.Lock) -> bool:
        """Tell whether `unfinished` was released while the loop stood still for it; then it is the caller's."""
        if not self.is_short:
            return False
        if self._stood_s >= PATIENCE_S:
            await self._go_round()
            if self._stood_s >= PATIENCE_S:
                return False
        begun = perf_counter()
        is_had = unfinished.acquire(timeout=PATIENCE_S)
        self._stood_s += perf_counter() - begun
        return is_had

    async def _go_round(self) -> None:
        """Let the loop go round. Of all who are here meanwhile one has the new time, and whom it lets have some."""
        before_s = self._stood_s
        await trio.lowlevel.cancel_shielded_checkpoint()
        if self._stood_s == before_s:
            self._stood_s = 0.0

    def learn(self, took_s: float) -> None:
        """Take note of how long a guest took."""
        self.is_short = took_s <= PATIENCE_S
