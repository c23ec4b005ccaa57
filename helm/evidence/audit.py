"""The audit log: every act of administration, read off the control chain of the ProofGraph.

The chain is there already: an act is a node that belongs to no session, it stands on the act before it, and what was
decided afterwards stands on it. Nothing is written twice, and nothing can be left out without the chain showing it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import attrs

from helm.contracts.form import JSONValue
from helm.proofgraph.graph import NO_SESSION
from helm.proofgraph.node import NodeKind

KERNEL: Final = "kernel"
"""Who acted where nobody signed and no operator asked."""

OF_CONTROL: Final = b'"session_id":"","shard":'
"""In every row of an act, in this order. Arguments may hold the same text: it only saves the reading of the others."""

SIGNED_BY: Final = ("signed_by", "key_id")
NO_TIME_OF_ACT: Final = frozenset({"due_at_ms", "expires_at_ms", "mfa_at_ms", "not_before_ms"})


@attrs.frozen(kw_only=True)
class Act:
    """Who did what, and when by the clock of whoever did it. `who` is a key, an operator's name, or the kernel."""

    lamport: int
    node_hash: str
    kind: str
    who: str
    at_ms: int
    reason: str
    says: dict[str, JSONValue]
    """The payload: what was signed, or what the kernel noted."""


def act_of(entry: dict[str, Any]) -> Act | None:
    """Return the act of a verified entry, None for a call's or a session's."""
    node = entry["node"]
    of_control = node["kind"] in (NodeKind.TRUST_EVENT, NodeKind.ATTESTATION)
    if not of_control or (node["tenant"], node["session_id"]) != NO_SESSION:
        return None
    payload: dict[str, Any] = node["payload"]
    said = [*bodies(payload)]
    return Act(
        lamport=node["lamport"],
        node_hash=node["node_hash"],
        kind=kind_of(payload),
        who=next((key for body in reversed(said) if (key := signer(body))), node["principal"] or KERNEL),
        at_ms=next((at for body in reversed(said) if (at := time_of(body)) is not None), 0),
        reason=next((str(body["reason"]) for body in reversed(said) if body.get("reason")), ""),
        says=payload,
    )


def bodies(payload: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a payload and what was signed in it; several commands stand in one by the names that they are about."""
    yield payload
    for name, value in sorted(payload.items()):
        if name == "commands" and type(value) is dict:
            yield from (signed["command"] for _, signed in sorted(value.items()))
        elif type(value) is dict:
            yield value


def kind_of(payload: dict[str, Any]) -> str:
    """Return what kind of act it is: a trust event says it inside."""
    event = payload.get("event")
    return str(event["kind"]) if isinstance(event, dict) else str(payload["type"])


def signer(body: dict[str, Any]) -> str:
    """Return the key that signed a body, "" where none did. An event's own `key_id` is the key that it is about."""
    return next((str(body[name]) for name in SIGNED_BY if body.get(name)), "")


def time_of(body: dict[str, Any]) -> int | None:
    """Return the time that a body names as its own, None where it names none."""
    times = (body[name] for name in sorted(body) if name.endswith("_at_ms") and name not in NO_TIME_OF_ACT)
    return next((int(at) for at in times if type(at) is int), None)
