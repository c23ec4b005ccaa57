"""What connectors keep running beside the calls: each once, and a replaced one until its last effect has ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs
import trio

from actors.connectors.port import Attended, Connector, Report
from actors.connectors.uses import Uses
from helm.guardian.bundle_tools import MAX_TIMEOUT_MS

LINGER_S: Final = MAX_TIMEOUT_MS / 1000
"""How long a connector that was replaced is attended at most: the longest that an effect it began may take (T4)."""


@attrs.define(eq=False)
class Stay:
    """One connector that is attended."""

    connector: Attended
    scope: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    farewell: trio.CancelScope | None = None
    """Around the wait for what it has under way, None while it was not replaced."""


@attrs.define(eq=False)
class Attendance:
    """Who is attended. What is replaced at every reload must not pile up: a server is a program that runs (T4)."""

    nursery: trio.Nursery
    report: Report
    uses: Uses
    _attended: dict[int, Stay] = attrs.field(factory=dict, init=False)

    def turn_to(self, connectors: Mapping[str, Connector]) -> None:
        """Attend these from now on, and let go of the others as soon as nothing of theirs is under way."""
        wanted = {id(one): one for one in connectors.values() if isinstance(one, Attended)}
        for key, stay in self._attended.items():
            if key in wanted:
                stay.farewell = None
            elif stay.farewell is None:
                stay.farewell = trio.CancelScope(deadline=trio.current_time() + LINGER_S)
                self.nursery.start_soon(self._let_go, stay, stay.farewell)
        for key, one in wanted.items():
            if key not in self._attended or self._attended[key].scope.cancel_called:
                self._attended[key] = stay = Stay(one)
                self.nursery.start_soon(self._attend, stay)

    async def _let_go(self, stay: Stay, farewell: trio.CancelScope) -> None:
        with farewell:
            await self.uses.wait_ended(stay.connector)
        if stay.farewell is farewell:  # otherwise it has come back meanwhile
            stay.scope.cancel()

    async def _attend(self, stay: Stay) -> None:
        try:
            with stay.scope:
                await stay.connector.attend(self.report)
        finally:
            if self._attended[id(stay.connector)] is stay:
                del self._attended[id(stay.connector)]
