"""Orders as the executor makes them out."""

from __future__ import annotations

from typing import Any

from actors.connectors.port import Dispatch
from helm.contracts.form import JSONValue
from helm.crypto.canonical import canonical, parse
from helm.crypto.hashing import sha256


def order(arguments: JSONValue, **fields: Any) -> Dispatch:
    """Make out an order for these arguments."""
    written = canonical(arguments)
    filled: dict[str, Any] = {
        "tool": "a.tool",
        "operation": "",
        "destination": "",
        "connector": "tested",
        "timeout_ms": 1000,
        "decision_id": "dec_" + "1" * 32,
        "effect_id": "eff_" + "2" * 32,
        "intent_hash": "sha256:" + "3" * 64,
        "idempotency_key": "",
        "sandbox_grant_hash": "",
        "permit": None,
    }
    return Dispatch(arguments=written, parsed=parse(written), args_hash=sha256(written), **(filled | fields))
