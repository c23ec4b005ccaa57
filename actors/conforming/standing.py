"""How each tested server stood after a run, as it says itself and as its target says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from actors.client.exchange import NoAnswer
from actors.conforming.target import OPERATOR
from actors.conforming.wire import Skipped, Unfit, Wire
from helm.contracts.form import JSONValue

STATUS = "/api/v1/boundary/status"
RECEIPTS = "/api/v1/receipts"


def subjects_of(wires: Mapping[str, Wire], *, is_own: bool) -> dict[str, dict[str, JSONValue]]:
    """Return each server that was asked: its log, its key, and its state after the last vector."""
    return {name: subject_of(wire) | {"is_own": is_own} for name, wire in wires.items()}


def subject_of(wire: Wire) -> dict[str, JSONValue]:
    """Return one server. One that does not say how it stands has a state of "unknown"."""
    state: dict[str, JSONValue] = {"program": "", "state": "unknown", "state_version": 0}
    try:
        told: dict[str, Any] = wire.get(STATUS, by=OPERATOR)
        head = wire.get(RECEIPTS, by=OPERATOR, query={"limit": 1})["after"]
        state = {"program": str(told["version"]), "state": str(told["status"]), "state_version": int(head)}
    except (Skipped, Unfit, NoAnswer, KeyError, ValueError, TypeError):
        pass  # a server that is tested need not have these routes: its receipts are what is believed
    server = wire.server
    return {"execution_key": server.execution_key, "log_id": server.log_id, "url": server.url, **state}
