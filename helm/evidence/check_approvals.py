"""Check that every approval a call relied on was given as the ceremony wants it: by whom, for what, when, and once."""

from __future__ import annotations

from helm.contracts.receipt import Receipt
from helm.contracts.verdict import Status, Verdict
from helm.evidence.control import HOURS, OF_APPROVAL, Control
from helm.evidence.reading import Reading, Told
from helm.guardian.approvals import Approvals
from helm.proofgraph.node import NodeKind


def check_approvals(reading: Reading) -> None:
    """Every approval that a call relied on was agreed to by its quorum, for this very call, and used once."""
    control = Control(approvals=Approvals())
    calls = {told.node.node_hash: told for told in reading.calls}
    intents = {told.outcome.node_hash: told for told in reading.calls if told.outcome is not None}
    for node in reading.nodes:
        kind = node.payload.get("type")
        if node.node_hash in calls:
            take_call(calls[node.node_hash], control.approvals)
        elif node.kind == NodeKind.EFFECT and node.node_hash in intents:
            take_outcome(intents[node.node_hash], control.approvals)
        elif node.kind == NodeKind.ATTESTATION and kind in OF_APPROVAL:
            control.approve(node.payload, reading.registry, node, node.where)
        elif node.kind == NodeKind.ATTESTATION and kind in HOURS:
            control.pass_hours(node.payload)


def take_call(told: Told, approvals: Approvals) -> None:
    """Open the ceremony that a call asked for, or use the one that it relied on. Raises Invalid."""
    decision = told.decision.content
    if decision.verdict == Verdict.ESCALATE and decision.approval_quorum:
        approvals.park(decision)
        approvals.note_written(decision.approval_id, told.record.id)
    elif decision.verdict == Verdict.ALLOW and decision.approval_id:
        approvals.consume(decision)


def take_outcome(told: Told, approvals: Approvals) -> None:
    """Give back what a call relied on that was not dispatched."""
    receipt: Receipt | None = None if told.receipt is None else told.receipt.content
    approval_id = told.decision.content.approval_id
    if approval_id and receipt is not None and receipt.status == Status.NOT_DISPATCHED:
        approvals.give_back(approval_id)
