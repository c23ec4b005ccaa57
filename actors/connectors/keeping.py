"""What goes on under a newer policy: a connector that it describes, byte for byte, as the one before did."""

from __future__ import annotations

from collections.abc import Mapping

from actors.connectors.port import Connector, Lasting


def kept(before: Mapping[str, Connector], wanted: Mapping[str, Connector]) -> dict[str, Connector]:
    """Return `wanted`, but what ran before wherever it would be started in the very same way again.

    What goes on is compared with its pins anew, as it would be if it had been started.
    """
    return {name: _one(before.get(name), connector) for name, connector in wanted.items()}


def _one(before: Connector | None, wanted: Connector) -> Connector:
    if isinstance(before, Lasting) and before is not wanted and before.is_same(wanted):
        before.look_again()
        return before
    return wanted
