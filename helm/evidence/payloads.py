"""What each kind of node says: the members of its payload and their types, in canonical order."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue

Members = Mapping[str, type]

INTENT: Final[Members] = MappingProxyType({"decision": dict, "effect": dict, "record": dict, "type": str})
REFUSAL: Final[Members] = MappingProxyType({"decision": dict, "receipt_hash": str, "record": dict, "type": str})
OUTCOME: Final[Members] = MappingProxyType({"intent_node": str, "reason": str, "receipt_hash": str, "type": str})

OF_LOG: Final[Mapping[str, Members]] = MappingProxyType(
    {
        "APPROVALS_EXPIRED": {"approval_ids": list, "expired_at_ms": int, "type": str},
        "CONNECTOR_RESUMED": {
            "connector": str,
            "lifted": str,
            "reason": str,
            "resumed_at_ms": int,
            "type": str,
        },
        "FREEZE": {"command": dict, "signature": str, "type": str},
        "KERNEL_STARTED": {"fingerprint": str, "kernel_epoch": int, "started_at_ms": int, "type": str},
        "POLICY_ACTIVATED": {
            "activated_at_ms": int,
            "epoch": int,
            "key_id": str,
            "p0_ceiling_hash": str,
            "policy_hash": str,
            "scope": str,
            "signature": str,
            "type": str,
        },
    }
)
"""Events of the control chain by their type."""

OF_SESSION: Final[Mapping[str, Members]] = MappingProxyType(
    {
        "SESSION_CLOSED": {"closed_at_ms": int, "type": str},
        "SESSION_OPENED": {"opened_at_ms": int, "type": str},
    }
)
"""Events of one session by their type."""


def check_members(body: object, members: Members, where: str) -> None:
    """Raise Invalid unless `body` is an object with exactly these members; every list in it is one of texts."""
    if type(body) is not dict or [*body] != [*members] or [*map(type, body.values())] != [*members.values()]:
        raise Invalid("has other members than what it is said to be", where, "it was edited")
    for name, kind in members.items():
        if kind is list and not all(type(item) is str for item in body[name]):
            raise Invalid(f"its {name} are not texts", where, "it was edited")


def check_payload(payload: JSONValue, kind: str, members: Members, where: str) -> None:
    """Raise Invalid unless a payload is of this type, and says what this type says."""
    check_members(payload, members, where)
    if payload["type"] != kind:
        raise Invalid(f"its payload is of type {payload['type']!r}, not {kind}", where, "it was edited")
