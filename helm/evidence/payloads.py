"""What each kind of node says: the members of its payload and their types, in canonical order."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue


@attrs.frozen
class Shape:
    """The members of an object, in canonical order, and the type of each. A list in it is one of texts."""

    members: Mapping[str, type]
    _names: list[str] = attrs.field(init=False, repr=False)
    _kinds: list[type] = attrs.field(init=False, repr=False)
    _lists: tuple[str, ...] = attrs.field(init=False, repr=False)

    @_names.default
    def _listed_names(self) -> list[str]:
        return [*self.members]

    @_kinds.default
    def _listed_kinds(self) -> list[type]:
        return [*self.members.values()]

    @_lists.default
    def _named_lists(self) -> tuple[str, ...]:
        return tuple(name for name, kind in self.members.items() if kind is list)

    def check(self, body: object, where: str) -> None:
        """Raise Invalid unless `body` has exactly this shape."""
        if type(body) is not dict or [*body] != self._names or [*map(type, body.values())] != self._kinds:
            raise Invalid("has other members than what it is said to be", where, EDITED)
        for name in self._lists:
            if not all(type(item) is str for item in body[name]):
                raise Invalid(f"its {name} are not texts", where, EDITED)


EDITED = "it was edited"

INTENT: Final = Shape({"decision": dict, "effect": dict, "record": dict, "type": str})
REFUSAL: Final = Shape({"decision": dict, "receipt_hash": str, "record": dict, "type": str})
CHECKPOINT_PAYLOAD: Final = Shape({"checkpoint": dict, "note_signature": str, "signature": str, "type": str})
OUTCOME: Final = Shape({"intent_node": str, "reason": str, "receipt_hash": str, "type": str})

EVENTS_OF_LOG: Final[Mapping[str, Mapping[str, type]]] = MappingProxyType(
    {
        "APPROVALS_EXPIRED": {"approval_ids": list, "expired_at_ms": int, "type": str},
        "APPROVALS_UNLOCKED": {"approval_ids": list, "type": str, "unlocked_at_ms": int},
        "BEARER_KEY_ISSUED": {
            "bearer_key": str,
            "expires_at_ms": int,
            "issued_at_ms": int,
            "key_class": str,
            "label": str,
            "principal": str,
            "scope": str,
            "tenant": str,
            "type": str,
        },
        "BEARER_KEY_REVOKED": {
            "bearer_key": str,
            "key_class": str,
            "label": str,
            "principal": str,
            "reason": str,
            "revoked_at_ms": int,
            "tenant": str,
            "type": str,
        },
        "CHECKPOINT_COSIGNED": {
            "checkpoint_hash": str,
            "cosigned_at_s": int,
            "key_id": str,
            "name": str,
            "signature": str,
            "type": str,
        },
        "CONNECTOR_RESUMED": {
            "connector": str,
            "lifted": str,
            "reason": str,
            "resumed_at_ms": int,
            "type": str,
        },
        "DELEGATION_BOUND": {
            "bound_at_ms": int,
            "delegation_id": str,
            "grant": dict,
            "signature": str,
            "type": str,
        },
        "DELEGATION_REVOKED": {"command": dict, "revoked_at_ms": int, "signature": str, "type": str},
        "FREEZE": {"command": dict, "signature": str, "type": str},
        "KERNEL_STARTED": {"fingerprint": str, "kernel_epoch": int, "started_at_ms": int, "type": str},
        "MCP_DRIFT": {"listed": str, "noted_at_ms": int, "operation": str, "server_id": str, "type": str},
        "MCP_SERVER": {"command": dict, "signature": str, "type": str},
        "OVERLAID": {"commands": dict, "obeyed_at_ms": int, "type": str},
        "P0_RAISED": {"due_at_ms": int, "raised_at_ms": int, "type": str},
        "P0_RAISE_CANCELLED": {"cancelled_at_ms": int, "command": dict, "signature": str, "type": str},
        "RELATIONS": {"command": dict, "obeyed_at_ms": int, "signature": str, "type": str},
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

EVENTS_OF_SESSION: Final[Mapping[str, Mapping[str, type]]] = MappingProxyType(
    {
        "APPROVAL_ASSERTED": {"asserted_at_ms": int, "assertion": dict, "signature": str, "type": str},
        "APPROVAL_CHALLENGED": {"challenge": dict, "signature": str, "type": str},
        "EXCHANGE_BEGUN": {"began_at_ms": int, "reserved_microcents": int, "type": str},
        "EXCHANGE_SETTLED": {"began_at_ms": int, "change_microcents": int, "type": str},
        "SESSION_CLOSED": {"closed_at_ms": int, "type": str},
        "SESSION_OPENED": {"opened_at_ms": int, "type": str},
    }
)
"""Events of one session by their type."""

OF_LOG: Final = MappingProxyType({kind: Shape(members) for kind, members in EVENTS_OF_LOG.items()})
OF_SESSION: Final = MappingProxyType({kind: Shape(members) for kind, members in EVENTS_OF_SESSION.items()})


def check_payload(payload: JSONValue, kind: str, shape: Shape, where: str) -> None:
    """Raise Invalid unless a payload is of this type, and says what this type says."""
    shape.check(payload, where)
    if payload["type"] != kind:
        raise Invalid(f"its payload is of type {payload['type']!r}, not {kind}", where, EDITED)
