"""Check what stands for receipts that were condensed: that it may, and that each leaf is in its place."""

from __future__ import annotations

from helm.contracts.errors import Invalid
from helm.evidence.condensed import COLD, LEAVES, OF_COLD, OF_CONDENSED, T2_WINDOW_MS, Leaf, read_leaves, why_not
from helm.evidence.layout import RECEIPTS
from helm.evidence.lines import read_json
from helm.evidence.part import PartNode
from helm.evidence.reading import CHANGED, Reading, Told
from helm.proofgraph.checkpoint import Checkpoint

LATE_ENOUGH = T2_WINDOW_MS + 2**53
"""A moment at which every window is over."""


class Leaves:
    """The leaves that stand for receipts: each for an empty line, in their order."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.leaves = read_leaves(reading.members)

    def take(self, receipt_hash: str) -> Leaf:
        """Return the leaf of the receipt that a node binds. Raises Invalid."""
        leaf, where = next(self.leaves, (None, LEAVES))
        if leaf is None:
            raise Invalid("neither a receipt nor a leaf is there", self.reading.receipt_at, CHANGED)
        if (leaf.tenant, leaf.session) != self.reading.session or leaf.log_id != self.reading.log_id:
            raise Invalid("is a leaf of another session or log", where, CHANGED)
        if leaf.body_hash != receipt_hash:
            raise Invalid("stands for another receipt than its node binds", where, CHANGED)
        return leaf

    def check_end(self) -> None:
        """Raise Invalid where a leaf stands for nothing."""
        spare = next(self.leaves, None)
        if spare is not None:
            raise Invalid("stands for a receipt that is bound by no node, or is there", spare[1], CHANGED)


class CondensedCalls:
    """Whatever was condensed is of low risk, was allowed without a human's word, and lies under a checkpoint."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.last_lamport = 0
        self.youngest_ms: int | None = None
        """When the last call of tier T2 was decided that was condensed."""

    def take(self, node: PartNode) -> None:
        """Look at the call of the next node, where its receipt was condensed."""
        told, leaf = self.reading.told, self.reading.leaf
        if told is None or leaf is None:
            return
        if problem := what_is_wrong(told, leaf):
            raise not_allowed(leaf.lamport_clock, problem)
        self.last_lamport = node.lamport
        decision = told.decision.content
        if why_not(decision, leaf.risk_tier, decision.decided_at_ms):
            self.youngest_ms = max(self.youngest_ms or decision.decided_at_ms, decision.decided_at_ms)

    def end(self) -> None:
        """Hold what was condensed against the last checkpoint of the pack."""
        reading = self.reading
        if not reading.counts.condensed:
            if OF_CONDENSED & reading.members.keys():
                raise Invalid("there is nothing that was condensed", LEAVES, CHANGED)
            return
        latest = covering(reading)
        if self.last_lamport > latest.lamport:
            raise Invalid("no checkpoint covers all that was condensed", LEAVES, CHANGED)
        if self.youngest_ms is not None and latest.issued_at_ms - self.youngest_ms < T2_WINDOW_MS:
            raise Invalid("a receipt of tier T2 was condensed before its time", LEAVES, CHANGED)


def covering(reading: Reading) -> Checkpoint:
    """Return the checkpoint that must cover what was condensed. Raises Invalid."""
    said = read_json(reading.members.get(COLD, b""), COLD)
    OF_COLD.check(said, COLD)
    if said["receipts"] != reading.counts.condensed:
        raise Invalid("counts other receipts than were condensed", COLD, CHANGED)
    latest, pinned = reading.checkpoint, reading.root.execution_key
    if latest is None:
        raise Invalid("no checkpoint of the pack covers what was condensed", LEAVES, CHANGED)
    if pinned and reading.registry.keys[latest.key_id].public_key.hex != pinned:
        raise Invalid("the checkpoint over what was condensed is not by the pinned key", RECEIPTS, "pin the log_id")
    return latest


def what_is_wrong(told: Told, leaf: Leaf) -> str:
    """Say why a leaf may never stand for the receipt of its call, "" where it may one day."""
    if told.outcome is not None and told.outcome.payload.get("reason"):
        return "something went wrong with it"
    return why_not(told.decision.content, leaf.risk_tier, LATE_ENOUGH)


def not_allowed(clock: int, problem: str) -> Invalid:
    """Return the refusal of a receipt that was condensed and may not be."""
    return Invalid(f"receipt {clock} may not be condensed: {problem}", LEAVES, CHANGED)
