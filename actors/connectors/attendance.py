"""How long connectors stay: each is attended once, and a replaced one goes when its last effect has ended."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

import attrs
import trio

from actors.connectors.port import Attended, Connector, Report
from actors.connectors.uses import Uses
from helm.guardian.bundle_tools import MAX_TIMEOUT_MS

LINGER_S: Final = MAX_TIMEOUT_MS / 1000
"""How long a connector that was replaced stays at most: the longest that an effect it began may take (T4)."""


@attrs.define(eq=False)
class Stay:
    """One connector's."""

    connector: Connector
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    farewell: trio.CancelScope | None = None
    """Around the wait for what it has under way, None while it was not replaced."""
    is_idle: bool = False
    """Whether nothing is under way through it any more, and nothing will be."""
    after: trio.Event | None = None
    """Set once the stay before has ended, None where there was none: nothing is attended twice at once."""
    ended: trio.Event = attrs.field(factory=trio.Event)


@attrs.define(eq=False)
class Attendance:
    """Who stays. What is replaced at every reload must not pile up: a server is a program that runs (T4)."""

    nursery: trio.Nursery
    report: Report
    uses: Uses
    close: Callable[[Connector], Awaitable[None]]
    """Has one closed that will not be used again. Must not raise."""
    _staying: dict[int, Stay] = attrs.field(factory=dict, init=False)

    def turn_to(self, connectors: Mapping[str, Connector]) -> None:
        """Have these stay from now on, and let go of the others as soon as nothing of theirs is under way."""
        wanted = {id(one): one for one in connectors.values()}
        for key, stay in self._staying.items():
            if key in wanted:
                stay.farewell = None
            elif stay.farewell is None:
                stay.farewell = trio.CancelScope(deadline=trio.current_time() + LINGER_S)
                self.nursery.start_soon(self._let_go, stay, stay.farewell)
        for key, one in wanted.items():
            before = self._staying.get(key)
            if before is None or before.scope.cancel_called:
                self._staying[key] = stay = Stay(one, after=before.ended if before is not None else None)
                self.nursery.start_soon(self._stay, stay)

    async def _let_go(self, stay: Stay, farewell: trio.CancelScope) -> None:
        with farewell:
            await self.uses.wait_ended(stay.connector)
        if stay.farewell is farewell:  # otherwise it has come back meanwhile
            stay.is_idle = not farewell.cancelled_caught
            stay.scope.cancel()

    async def _stay(self, stay: Stay) -> None:
        connector = stay.connector
        try:
            if stay.after is not None:
                await stay.after.wait()
            if not stay.scope.cancel_called:
                await self._attend(stay)
        finally:
            stay.ended.set()
            if self._staying.get(id(connector)) is stay:
                del self._staying[id(connector)]
        if stay.is_idle and id(connector) not in self._staying:
            await self.close(connector)

    async def _attend(self, stay: Stay) -> None:
        with stay.scope:
            if isinstance(stay.connector, Attended):
                await stay.connector.attend(partial(self._reported, stay))
            await trio.sleep_forever()

    async def _reported(self, stay: Stay, server_id: str, operation: str, listed: str) -> None:
        """Pass on what drifts, unless it is another's by now: its pins are of an older policy, its name is not (T4)."""
        if stay.farewell is None:
            await self.report(server_id, operation, listed)
