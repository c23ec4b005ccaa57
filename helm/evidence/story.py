"""One call, told four times: its node, its decision, its boundary record and its receipt must not differ.

Each of the four is sealed by itself, so an insider could seal four that disagree; whoever reads one of them
must not be told another story than who reads the next (T5).
"""

from __future__ import annotations

from helm.contracts.decision import Decision
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue, Sealed
from helm.contracts.reason import ReasonCode
from helm.contracts.receipt import Receipt
from helm.contracts.record import BoundaryRecord
from helm.evidence.unseal import intent_hash
from helm.receipts.policy import ReceiptRefused, check_receipt

CODES = frozenset(map(str, ReasonCode))

HINT = "whoever sealed these did not tell the truth in one of them"

OF_RECORD = (
    *(
        "decision_id",
        "approval_ids",
        "args_hash",
        "authz_snapshot_hash",
        "created_at_ms",
        "input_schema_hash",
    ),
    *("log_id", "policy_epoch", "policy_hash", "principal", "reason", "reason_code", "sandbox_grant_hash"),
    *("session_id", "tenant", "tool_effect", "tool_name", "verdict"),
)
"""The members of a record that its decision fixes, as `told_by_record` and `told_by_decision` list them."""

OF_RECEIPT = (
    *("decision_id", "decision_hash", "record_hash", "intent_node", "verdict", "args_hash", "effect_id"),
    *("tenant", "session_id", "principal", "tool", "policy_hash", "policy_epoch", "risk_tier", "log_id"),
    *("idempotency_key", "door", "transport", "sandbox_grant_hash"),
)
"""The members of a receipt that its decision, record and node fix, in the order of the comparison."""


def check_record(record: BoundaryRecord, decision: Sealed[Decision], where: str) -> None:
    """Raise Invalid unless the record says of the decision what the decision says."""
    told, truth = told_by_record(record), told_by_decision(decision)
    if told != truth:
        name, said, is_so = first_difference(OF_RECORD, told, truth)
        raise Invalid(f"the record's {name} is {said!r} where its decision has {is_so!r}", where, HINT)
    if decision.content.intent_hash != intent_hash(decision.content):
        raise Invalid("the decision's intent_hash is not that of its call", where, HINT)


def told_by_record(record: BoundaryRecord) -> tuple[JSONValue, ...]:
    """Return what the record says, in the order of OF_RECORD."""
    return (
        record.decision_id,
        record.approval_ids,
        record.args_hash,
        record.authz_snapshot_hash,
        record.created_at_ms,
        record.input_schema_hash,
        record.log_id,
        record.policy_epoch,
        record.policy_hash,
        record.principal,
        record.reason,
        record.reason_code,
        record.sandbox_grant_hash,
        record.session_id,
        record.tenant,
        record.tool_effect,
        record.tool_name,
        record.verdict,
    )


def told_by_decision(decision: Sealed[Decision]) -> tuple[JSONValue, ...]:
    """Return what the record of this decision must say, in the order of OF_RECORD."""
    decided = decision.content
    return (
        decision.id,
        (decided.approval_id,) if decided.approval_id else (),
        decided.args_hash,
        decided.authz_snapshot_hash,
        decided.decided_at_ms,
        decided.input_schema_hash,
        decided.log_id,
        decided.policy_epoch,
        decided.policy_hash,
        decided.principal,
        decided.reason,
        decided.reason_code,
        decided.sandbox_grant_hash,
        decided.session_id,
        decided.tenant,
        decided.effect_type,
        decided.tool,
        decided.verdict,
    )


def check_story(
    receipt: Receipt, decision: Sealed[Decision], record: Sealed[BoundaryRecord], intent_node: str, where: str
) -> None:
    """Raise Invalid unless the receipt tells what its decision, record and intent node ("" for none) tell."""
    told, truth = told_by_receipt(receipt), told_before(decision, record, intent_node)
    if told != truth:
        name, said, is_so = first_difference(OF_RECEIPT, told, truth)
        raise Invalid(f"the receipt's {name} is {said!r} where its decision has {is_so!r}", where, HINT)
    if intent_node == "" and receipt.reason_code != decision.content.reason_code:
        raise Invalid("the receipt refuses for another reason than its decision", where, HINT)
    if receipt.reason_code not in CODES:
        raise Invalid(f"the receipt gives a reason that no registry knows: {receipt.reason_code!r}", where, HINT)
    try:
        check_receipt(receipt)
    except ReceiptRefused as problem:
        raise Invalid(str(problem), where, HINT) from problem


def told_by_receipt(receipt: Receipt) -> tuple[JSONValue, ...]:
    """Return what the receipt says, in the order of OF_RECEIPT."""
    return (
        receipt.decision_id,
        receipt.decision_hash,
        receipt.record_hash,
        receipt.intent_node,
        receipt.verdict,
        receipt.args_hash,
        receipt.effect_id,
        receipt.tenant,
        receipt.session_id,
        receipt.principal,
        receipt.tool,
        receipt.policy_hash,
        receipt.policy_epoch,
        receipt.risk_tier,
        receipt.log_id,
        receipt.idempotency_key,
        receipt.door,
        receipt.transport,
        receipt.sandbox_grant_hash,
    )


def told_before(decision: Sealed[Decision], record: Sealed[BoundaryRecord], intent_node: str) -> tuple[JSONValue, ...]:
    """Return what the receipt of this call must say, in the order of OF_RECEIPT."""
    decided = decision.content
    return (
        decision.id,
        decision.hash,
        record.hash,
        intent_node,
        decided.verdict,
        decided.args_hash,
        decided.effect_id,
        decided.tenant,
        decided.session_id,
        decided.principal,
        decided.tool,
        decided.policy_hash,
        decided.policy_epoch,
        decided.risk_tier,
        decided.log_id,
        decided.idempotency_key,
        decided.door,
        decided.transport,
        decided.sandbox_grant_hash,
    )


def first_difference(
    names: tuple[str, ...], told: tuple[JSONValue, ...], truth: tuple[JSONValue, ...]
) -> tuple[str, JSONValue, JSONValue]:
    """Return the name of the first member that differs, what was said and what is so."""
    return next(line for line in zip(names, told, truth, strict=True) if line[1] != line[2])
