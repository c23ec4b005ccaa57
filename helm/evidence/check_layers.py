"""Check that a call of a pack was decided under what bound its caller: a bundle that was active, and its overlays."""

from __future__ import annotations

from helm.contracts.decision import Decision
from helm.contracts.errors import Invalid
from helm.evidence.layout import policy_path
from helm.evidence.reading import CHANGED, Reading, Told
from helm.evidence.sets import PolicySet, check_texts, read_set
from helm.guardian.overlays import Overlays
from helm.proofgraph.node import NodeKind


class Bound:
    """What bound the callers of a pack, up to the node at hand."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.sets: dict[str, PolicySet] = {}

    def check(self, told: Told, where: str) -> None:
        """Raise Invalid unless the call was decided under a bundle that was active, and the overlays of its caller.

        What was allowed is held against the very overlays that bound its caller then. A refusal is written a moment
        after it was decided: its overlays bound its caller then, or at an earlier moment.
        """
        decision = told.decision.content
        if not decision.policy_hash:
            return
        bundle, overlays = self._named(decision)
        if (bundle, decision.policy_epoch) not in self.reading.activated:
            raise Invalid("decided under a policy that was not in force before", where, CHANGED)
        if not overlays and not self.reading.overlaid:
            return
        names = callers(decision, self.reading)
        states = [Overlays(), *(state for _, state in self.reading.overlaid)]
        if told.node.kind == NodeKind.INTENT:
            states = states[-1:]
        if overlays not in [state.hashes(decision.tenant, names) for state in states]:
            raise Invalid("decided under other overlays than those that bound its caller", where, CHANGED)

    def _named(self, decision: Decision) -> tuple[str, tuple[str, ...]]:
        """Return the bundle and the overlays that a decision names. Raises Invalid."""
        policy_hash = decision.policy_hash
        if (policy_hash, decision.policy_epoch) in self.reading.activated:
            return policy_hash, ()
        path = policy_path(policy_hash)
        if policy_hash not in self.sets:
            self.sets[policy_hash] = self._read(policy_hash, path)
        found = self.sets[policy_hash]
        if found.held is not None and found.held.hash != decision.p0_ceiling_hash:
            raise Invalid("the decision was made under other ceilings than its policy set", path, CHANGED)
        return found.bundle, found.overlays

    def _read(self, policy_hash: str, path: str) -> PolicySet:
        if path not in self.reading.members:
            raise Invalid("the policy that a decision was made under is not there", path, CHANGED)
        found = read_set(self.reading.members[path], policy_hash, path)
        check_texts(found, self.reading.members)
        return found


def callers(decision: Decision, reading: Reading) -> tuple[str, ...]:
    """Return in whose name a call was made: its principal, and whose delegation it was made under."""
    found = reading.control.delegations.bound.get(decision.delegation_id)
    if found is None or found.grant.tenant != decision.tenant:
        return (decision.principal,)
    return (decision.principal, found.grant.delegator)
