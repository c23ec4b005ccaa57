"""Following what stands around the active bundle: each event of it, verified, as a start and as any reader does it."""

from __future__ import annotations

from typing import Any

import attrs

from helm.contracts.errors import Invalid
from helm.crypto import domains
from helm.crypto.canonical import canonical
from helm.crypto.hashing import hash_in
from helm.evidence.beside import check_bundle, overlay_texts
from helm.evidence.control import said_of_overlays, said_of_raise, take_overlays
from helm.evidence.payloads import EDITED
from helm.guardian.ceilings import ceilings_of
from helm.guardian.precedence import Precedence, Stated
from helm.trust.registry import Registry

Entry = dict[str, Any]


def follow(precedence: Precedence, entry: Entry, registry: Registry, lamport: int, where: str) -> Precedence:
    """Return what comes of one event of the kinds OF_PRECEDENCE, whose shape was checked. Raises Invalid.

    Who signed an activation, and that its epoch rose, is checked where the active policy is kept.
    """
    payload, beside = entry["node"]["payload"], entry["beside"]
    match payload["type"]:
        case "POLICY_ACTIVATED":
            return activate(precedence, payload, beside, where)
        case "OVERLAID":
            commands = said_of_overlays(payload, registry, lamport, where)
            overlays = take_overlays(precedence.overlays, commands, overlay_texts(beside, payload, where))
            return attrs.evolve(precedence, overlays=overlays)
        case "P0_RAISED":
            if payload["due_at_ms"] != precedence.due_at_ms:
                raise Invalid("a raise of ceilings at another hour than the one that waits", where, EDITED)
            return precedence.raised(payload["raised_at_ms"])
        case _:
            return precedence.cancelled(said_of_raise(payload, registry, lamport, where))


def activate(precedence: Precedence, payload: Entry, beside: Entry, where: str) -> Precedence:
    """Return what comes of an activation: its own ceilings, or the lower of both until its raise is due."""
    check_bundle(beside, payload["policy_hash"], where)
    p0 = beside["bundle"].get("p0", {})
    if hash_in(domains.P0, canonical(p0)) != payload["p0_ceiling_hash"]:
        raise Invalid("the bundle states other ceilings than its signature", where, EDITED)
    stated = Stated(
        policy_hash=payload["policy_hash"], p0_ceiling_hash=payload["p0_ceiling_hash"], ceilings=ceilings_of(p0)
    )
    if precedence.stated is not None and precedence.stated.policy_hash == stated.policy_hash:
        return precedence
    return precedence.activated(stated, payload["activated_at_ms"])
