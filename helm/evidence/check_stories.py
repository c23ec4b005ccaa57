"""Check that node, decision, record and receipt of every call tell one story."""

from __future__ import annotations

from helm.contracts.errors import Invalid
from helm.contracts.verdict import Verdict
from helm.evidence.check_layers import check_bound
from helm.evidence.layout import record_path
from helm.evidence.part import PartNode
from helm.evidence.reading import CHANGED, Reading, Told
from helm.evidence.story import check_record, check_story
from helm.proofgraph.node import NodeKind


def check_stories(reading: Reading) -> None:
    """Node, decision, record and receipt of every call tell one story."""
    match_outcomes(reading)
    activated = reading.activated
    decided: set[str] = set()
    for told in reading.calls:
        where = record_path(told.node.lamport)
        check_decided(told, reading.log_id, where)
        check_record(told.record.content, told.decision, where)
        check_bound(told, reading, activated, where)
        if told.decision.id in decided:
            raise Invalid("tells a decision a second time", where, CHANGED)
        decided.add(told.decision.id)
        if told.receipt is not None:
            check_story(told.receipt.content, told.decision, told.record, told.intent_node, where)


def match_outcomes(reading: Reading) -> None:
    """Give each call its outcome, and the receipts in the order of their nodes. Raises Invalid."""
    intents = {told.node.node_hash: told for told in reading.calls if told.node.kind == NodeKind.INTENT}
    for told in reading.calls:
        if told.node.kind != NodeKind.INTENT:
            give_outcome(told, told.node, reading)
    for node in reading.outcomes:
        intent = intents.get(node.payload["intent_node"])
        if intent is None or intent.outcome is not None or intent.node.lamport >= node.lamport:
            what = "an effect without an open intent: no permission, or a second outcome"
            raise Invalid(what, node.where, CHANGED)
        if (node.session, node.principal) != (intent.node.session, intent.node.principal):
            raise Invalid("an effect of another session or principal than its intent", node.where, CHANGED)
        give_outcome(intent, node, reading)


def give_outcome(told: Told, node: PartNode, reading: Reading) -> None:
    """Join a call with the node that binds its receipt, and the receipt where it is there."""
    told.outcome = node
    told.receipt = reading.receipts.get(node.payload["receipt_hash"])


def check_decided(told: Told, log_id: str, where: str) -> None:
    """Raise Invalid unless the decision is of this log, this kernel, and its node's session and kind."""
    decision, node = told.decision.content, told.node
    said = (decision.tenant, decision.session_id), decision.principal, decision.log_id
    if said != (node.session, node.principal, log_id):
        raise Invalid("node and decision are not about the same call", where, CHANGED)
    if (decision.verdict == Verdict.ALLOW) != (node.kind == NodeKind.INTENT):
        raise Invalid(f"a decision to {decision.verdict} in a node of kind {node.kind}", where, CHANGED)
    if decision.kernel_epoch != told.kernel_epoch:
        what = f"decided in kernel epoch {decision.kernel_epoch}, written in {told.kernel_epoch}"
        raise Invalid(what, where, CHANGED)
