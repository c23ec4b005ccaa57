"""Check that every approval a call relied on was given as the ceremony wants it: by whom, for what, when, and once."""

from __future__ import annotations

from helm.contracts.receipt import Receipt
from helm.contracts.verdict import Status, Verdict
from helm.evidence.control import HOURS, OF_APPROVAL, Control
from helm.evidence.part import PartNode
from helm.evidence.reading import Reading, Told
from helm.guardian.approvals import Approvals
from helm.proofgraph.node import NodeKind


class ApprovalEvents:
    """Every approval that a call relied on was agreed to by its quorum, for this very call, and used once."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.control = Control(approvals=Approvals())

    def take(self, node: PartNode) -> None:
        """Follow the next call, outcome or event of a ceremony."""
        told = self.reading.told
        if told is not None:
            if node.kind == NodeKind.EFFECT:
                take_outcome(told, self.control.approvals)
            else:
                take_call(told, self.control.approvals)
        elif node.kind == NodeKind.ATTESTATION:
            kind = node.payload.get("type")
            if kind in OF_APPROVAL:
                self.control.approve(node.payload, self.reading.registry, node, node.where)
            elif kind in HOURS:
                self.control.pass_hours(node.payload)

    def end(self) -> None:
        """Nothing is left: nobody must answer."""


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
