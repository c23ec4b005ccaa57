"""Check that a call of a pack was decided under what bound its caller: a bundle that was active, and its overlays."""

from __future__ import annotations

from helm.contracts.decision import Decision
from helm.contracts.errors import Invalid
from helm.evidence.layout import policy_path
from helm.evidence.reading import CHANGED, Reading, Told
from helm.evidence.sets import check_texts, read_set
from helm.guardian.overlays import Overlays
from helm.proofgraph.node import NodeKind

Activated = dict[tuple[str, int], int]


def check_bound(told: Told, reading: Reading, activated: Activated, where: str) -> None:
    """Raise Invalid unless the call was decided under a bundle that was active, and the overlays of its caller.

    What was allowed is held against the very overlays that bound its caller then. A refusal is written a moment after
    it was decided: its overlays bound its caller then, or at an earlier moment.
    """
    decision, lamport = told.decision.content, told.node.lamport
    if not decision.policy_hash:
        return
    bundle, overlays = named(decision, reading, activated)
    if not 0 < activated.get((bundle, decision.policy_epoch), 0) < lamport:
        raise Invalid("decided under a policy that was not in force before", where, CHANGED)
    names = callers(decision, reading)
    states = [Overlays(), *(state for since, state in reading.overlaid if since < lamport)]
    if told.node.kind == NodeKind.INTENT:
        states = states[-1:]
    if overlays not in [state.hashes(decision.tenant, names) for state in states]:
        raise Invalid("decided under other overlays than those that bound its caller", where, CHANGED)


def named(decision: Decision, reading: Reading, activated: Activated) -> tuple[str, tuple[str, ...]]:
    """Return the bundle and the overlays that a decision names. Raises Invalid."""
    policy_hash = decision.policy_hash
    if (policy_hash, decision.policy_epoch) in activated:
        return policy_hash, ()
    path = policy_path(policy_hash)
    if path not in reading.members:
        raise Invalid("the policy that a decision was made under is not there", path, CHANGED)
    found = read_set(reading.members[path], policy_hash, path)
    check_texts(found, reading.members)
    if found.held is not None and found.held.hash != decision.p0_ceiling_hash:
        raise Invalid("the decision was made under other ceilings than its policy set", path, CHANGED)
    return found.bundle, found.overlays


def callers(decision: Decision, reading: Reading) -> tuple[str, ...]:
    """Return in whose name a call was made: its principal, and whose delegation it was made under."""
    found = reading.control.delegations.bound.get(decision.delegation_id)
    if found is None or found.grant.tenant != decision.tenant:
        return (decision.principal,)
    return (decision.principal, found.grant.delegator)
