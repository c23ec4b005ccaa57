"""Check what stands for receipts that were condensed: that it may, and that each leaf is in its place."""

from __future__ import annotations

from helm.contracts.errors import Invalid
from helm.evidence.condensed import COLD, LEAVES, OF_COLD, OF_CONDENSED, Leaf, read_leaves, why_not
from helm.evidence.layout import RECEIPTS
from helm.evidence.lines import read_json
from helm.evidence.reading import CHANGED, Reading, Told
from helm.proofgraph.checkpoint import Checkpoint


def read_condensed(reading: Reading) -> None:
    """Read the leaves that stand for receipts: a node binds each, and its receipt is not there. Raises Invalid."""
    for leaf, where in read_leaves(reading.members):
        if (leaf.tenant, leaf.session) != reading.session or leaf.log_id != reading.log_id:
            raise Invalid("is a leaf of another session or log", where, CHANGED)
        if leaf.body_hash not in reading.lamports or leaf.body_hash in reading.receipts:
            raise Invalid("stands for a receipt that is bound by no node, or is there", where, CHANGED)
        reading.condensed[leaf.body_hash] = leaf


def check_condensed(reading: Reading) -> None:
    """Whatever was condensed is of low risk, was allowed without a human's word, and lies under a checkpoint."""
    if not reading.condensed:
        if OF_CONDENSED & reading.members.keys():
            raise Invalid("there is nothing that was condensed", LEAVES, CHANGED)
        return
    latest = covering(reading)
    for told in reading.calls:
        leaf = None if told.outcome is None else reading.condensed.get(told.outcome.payload["receipt_hash"])
        if leaf is not None and (problem := what_is_wrong(told, leaf, latest)):
            raise Invalid(f"receipt {leaf.lamport_clock} may not be condensed: {problem}", LEAVES, CHANGED)


def covering(reading: Reading) -> Checkpoint:
    """Return the checkpoint that must cover what was condensed. Raises Invalid."""
    said = read_json(reading.members.get(COLD, b""), COLD)
    OF_COLD.check(said, COLD)
    if said["receipts"] != len(reading.condensed):
        raise Invalid("counts other receipts than were condensed", COLD, CHANGED)
    latest, pinned = reading.checkpoint, reading.root.execution_key
    if latest is None:
        raise Invalid("no checkpoint of the pack covers what was condensed", LEAVES, CHANGED)
    if pinned and reading.registry.keys[latest.key_id].public_key.hex != pinned:
        raise Invalid("the checkpoint over what was condensed is not by the pinned key", RECEIPTS, "pin the log_id")
    return latest


def what_is_wrong(told: Told, leaf: Leaf, latest: Checkpoint) -> str:
    """Say why a leaf may not stand for the receipt of its call, "" where it may."""
    if told.outcome is None or told.outcome.lamport > latest.lamport:
        return "no checkpoint covers it"
    if told.outcome.payload.get("reason"):
        return "something went wrong with it"
    return why_not(told.decision.content, leaf.risk_tier, latest.issued_at_ms)
