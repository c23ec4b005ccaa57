"""What connectors keep running beside the calls: each once, and a replaced one no longer than its effects may last."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

import attrs
import trio

from actors.connectors.port import Attended, Connector, Report
from helm.guardian.bundle_tools import MAX_TIMEOUT_MS

LINGER_S: Final = MAX_TIMEOUT_MS / 1000
"""How long a connector that was replaced is still attended: the longest that an effect it began may take (T4)."""


@attrs.define(eq=False)
class Attendance:
    """Who is attended. What is replaced at every reload must not pile up: a server is a program that runs (T4)."""

    nursery: trio.Nursery
    report: Report
    _attended: dict[int, tuple[Attended, trio.CancelScope]] = attrs.field(factory=dict, init=False)

    def turn_to(self, connectors: Mapping[str, Connector]) -> None:
        """Attend these from now on, and let go of the others once nothing of theirs can be under way."""
        wanted = {id(one): one for one in connectors.values() if isinstance(one, Attended)}
        for key, (_, scope) in self._attended.items():
            if key in wanted:
                scope.deadline = math.inf
            elif scope.deadline == math.inf:
                scope.deadline = trio.current_time() + LINGER_S
        for key, one in wanted.items():
            if key not in self._attended or self._attended[key][1].cancel_called:
                self._attended[key] = one, trio.CancelScope()
                self.nursery.start_soon(self._attend, *self._attended[key])

    async def _attend(self, connector: Attended, scope: trio.CancelScope) -> None:
        try:
            with scope:
                await connector.attend(self.report)
        finally:
            if self._attended[id(connector)][1] is scope:
                del self._attended[id(connector)]
