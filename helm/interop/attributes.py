"""What telemetry is told of a call: one table, for spans, for lines of the log and for exports.

Ids, hashes and words of closed lists, and no others: never arguments, never output, never a credential. Whoever holds
the receipt finds it by its id, and the receipt is what counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from helm.contracts.receipt import Receipt
from helm.contracts.verdict import Status
from helm.receipts.chain import SealedReceipt

Value = str | int | bool

AUTHORITATIVE: Final = "helm.authoritative"
NOTICE: Final = "Telemetry: not evidence, and nothing is decided by it. The signed receipt is what counts."

DECISION: Final = "helm.governance.decision"
"""The span of a governed call, from its place on the belt to its durable receipt."""

TOOL_CALL: Final = "gen_ai.tool_call"
"""The span of the effect within it. Which tool it is, is an attribute: a name has few values."""

EXECUTE_TOOL: Final = "execute_tool"
"""The operation of the GenAI conventions for a tool that runs."""

TOOL_NAME: Final = "gen_ai.tool.name"
OPERATION: Final = "gen_ai.operation.name"
ERROR: Final = "error.type"

UNHAPPY: Final = frozenset({Status.FAILED.value, Status.INDETERMINATE.value, Status.INTERRUPTED.value})
"""What a tracer shows as an error. A refusal is none: it is what HELM is there for."""

OF_RECEIPT: Final[Mapping[str, str]] = {
    "helm.args.hash": "args_hash",
    "helm.decision.id": "decision_id",
    "helm.door": "door",
    "helm.effect.id": "effect_id",
    "helm.output.hash": "output_hash",
    "helm.policy.epoch": "policy_epoch",
    "helm.policy.hash": "policy_hash",
    "helm.principal": "principal",
    "helm.reason_code": "reason_code",
    "helm.record.hash": "record_hash",
    "helm.risk_tier": "risk_tier",
    "helm.session.clock": "lamport_clock",
    "helm.status": "status",
    "helm.tenant": "tenant",
    "helm.verdict": "verdict",
}
"""Each attribute, and the member of the receipt that it repeats."""

LEFT_OUT: Final = frozenset({"idempotency_key", "session_id", "tool"})
"""Members of a receipt that a caller words as it likes. A tool is named where the policy knows it."""


def resource(version: str, log_id: str) -> dict[str, Value]:
    """Return what is said of the program that tells, in the words of the resource conventions."""
    return {
        AUTHORITATIVE: False,
        "helm.log.id": log_id,
        "helm.notice": NOTICE,
        "service.name": "helm",
        "service.version": version,
    }


def of_receipt(sealed: SealedReceipt, tool: str) -> dict[str, Value]:
    """Return the attributes of a call, as its receipt has them; `tool` is "" for one that is not named."""
    return told(sealed.content, sealed.receipt_id, sealed.receipt_hash, tool)


def told(receipt: Receipt, receipt_id: str, receipt_hash: str, tool: str) -> dict[str, Value]:
    """Return the same where the receipt was read back."""
    said: dict[str, Value] = {name: getattr(receipt, member) for name, member in OF_RECEIPT.items()}
    said |= {
        AUTHORITATIVE: False,
        ERROR: receipt.reason_code or receipt.status if receipt.status in UNHAPPY else "",
        TOOL_NAME: tool,
        "helm.receipt.hash": receipt_hash,
        "helm.receipt.id": receipt_id,
    }
    return {name: value for name, value in said.items() if value != ""}
