"""How many effects are under way through each connector: one that was replaced is let go of once none is."""

from __future__ import annotations

import attrs
import trio

from actors.connectors.port import Connector


@attrs.define(eq=False)
class Uses:
    """Counts per connector. Whoever begins ends, however the effect does."""

    _under_way: dict[int, int] = attrs.field(factory=dict, init=False)
    """By identity: who counts holds the connector, so that no other can be there instead."""
    _ended: dict[int, trio.Event] = attrs.field(factory=dict, init=False)
    """Set, and forgotten, when the last effect of a connector that somebody waits for has ended."""

    def begin(self, connector: Connector) -> None:
        """Count one effect. No await may lie between finding the connector and this."""
        key = id(connector)
        self._under_way[key] = self._under_way.get(key, 0) + 1

    def end(self, connector: Connector) -> None:
        """Count one effect less."""
        key = id(connector)
        left = self._under_way[key] - 1
        if left:
            self._under_way[key] = left
            return
        del self._under_way[key]
        if key in self._ended:
            self._ended.pop(key).set()

    async def wait_ended(self, connector: Connector) -> None:
        """Return once nothing is under way through `connector`. Whoever waits owns the deadline."""
        while id(connector) in self._under_way:
            await self._ended.setdefault(id(connector), trio.Event()).wait()
