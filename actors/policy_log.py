"""What is in force around the bundle of a data directory: read from its journal without a kernel, and verified."""

from __future__ import annotations

from collections.abc import Iterator

from actors.installation import Installation
from actors.stores.glance import glance
from actors.trust_log import PAGE, registry_of
from helm.contracts.form import JSONValue
from helm.crypto.canonical import reread
from helm.evidence.control import OF_PRECEDENCE, check_event
from helm.evidence.precedence import follow
from helm.guardian.delegation import DelegationGrant
from helm.guardian.precedence import Precedence
from helm.proofgraph.graph import NO_SESSION
from helm.proofgraph.node import NodeKind
from helm.wire import structure

Entry = dict[str, JSONValue]


def precedence_of(place: Installation) -> Precedence:
    """Return the ceilings and overlays in force, and what waits. Raises Invalid where an event does not follow."""
    precedence = Precedence()
    if not place.has_journal:
        return precedence
    registry = registry_of(place)
    for seq, entry in entries(place, OF_PRECEDENCE):
        where, node = f"journal entry {seq}", entry["node"]
        check_event(node["payload"], in_session=False, where=where)
        precedence = follow(precedence, entry, registry, node["lamport"], where)
    return precedence


def grants_of(place: Installation) -> Iterator[DelegationGrant]:
    """Yield the delegations that were bound and not revoked; a kernel looks at their hours and signatures as well."""
    if not place.has_journal:
        return
    bound: dict[str, DelegationGrant] = {}
    for seq, entry in entries(place, frozenset({"DELEGATION_BOUND", "DELEGATION_REVOKED"})):
        payload = entry["node"]["payload"]
        if payload["type"] == "DELEGATION_BOUND":
            bound[payload["delegation_id"]] = structure(payload["grant"], DelegationGrant, f"journal entry {seq}")
        else:
            bound.pop(payload["command"]["delegation_id"], None)
    yield from bound.values()


def entries(place: Installation, kinds: frozenset[str]) -> Iterator[tuple[int, Entry]]:
    """Yield the control events of these kinds. Raises Invalid.

    Arguments of calls may hold the same text as an event's type: looking for it only saves the reading of others.
    """
    needles = [f'"type":"{kind}"'.encode() for kind in sorted(kinds)]
    with glance(place.journal_at) as journal:
        done = 0
        while page := journal.page(done + 1, PAGE):
            for seq, body in page:
                done = seq
                if any(needle in body for needle in needles):
                    entry: Entry = reread(body)
                    if is_event(entry["node"], kinds):
                        yield seq, entry


def is_event(node: Entry, kinds: frozenset[str]) -> bool:
    """Tell whether a node is a control event of these kinds."""
    is_control = node["kind"] == NodeKind.ATTESTATION and (node["tenant"], node["session_id"]) == NO_SESSION
    return is_control and node["payload"].get("type") in kinds
