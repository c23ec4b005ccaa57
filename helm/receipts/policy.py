"""Receipt policy: which receipt must exist for which outcome; anything else is not sealed (fail-closed)."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from helm.contracts.reason import ReasonCode
from helm.contracts.receipt import Receipt
from helm.contracts.verdict import Status, Verdict

ALLOW, SUCCESS, NONE = Verdict.ALLOW.value, Status.SUCCESS.value, ReasonCode.NONE.value

OUTCOMES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        Verdict.DENY: frozenset({Status.DENIED}),
        Verdict.ESCALATE: frozenset({Status.ESCALATED}),
        Verdict.ALLOW: frozenset(Status) - {Status.DENIED, Status.ESCALATED},
    }
)
"""What may become of a call under each verdict."""


class ReceiptRefused(ValueError):
    """The receipt claims an outcome its verdict does not permit."""


def check_receipt(receipt: Receipt) -> None:
    """Raise ReceiptRefused unless the receipt tells one coherent outcome.

    A refusal has no intent node and no output; an execution has its intent node; only SUCCESS has an output hash and
    only SUCCESS is without a reason code. The evidence of a run in the sandbox is there as a whole, or not at all.
    """
    if receipt.status not in OUTCOMES.get(receipt.verdict, ()):
        raise ReceiptRefused(f"a call that was {receipt.verdict}ed cannot end {receipt.status}")
    if (receipt.intent_node == "") != (receipt.verdict != ALLOW):
        raise ReceiptRefused("an executed call names its intent node, a refused one has none")
    succeeded = receipt.status == SUCCESS
    if (receipt.output_hash != "") != succeeded:
        raise ReceiptRefused(f"{receipt.status} with output_hash {receipt.output_hash!r}")
    if (receipt.reason_code == NONE) != succeeded:
        raise ReceiptRefused(f"{receipt.status} with reason code {receipt.reason_code!r}")
    if receipt.lease_id or receipt.sandbox_limits or receipt.module_hash or receipt.fuel_used or receipt.trap:
        _check_run(receipt)


def _check_run(receipt: Receipt) -> None:
    """A run had a lease, its module, and limits that can be read in one way; what answered was not ended by a trap."""
    names = [name for name, _ in receipt.sandbox_limits]
    if not (receipt.intent_node and receipt.lease_id and receipt.module_hash and names):
        raise ReceiptRefused("the evidence of a run needs its intent, its lease, its module and its limits")
    if names != sorted(set(names)) or min(value for _, value in receipt.sandbox_limits) < 0:
        raise ReceiptRefused("the limits of a run stand in the order of their names, each once, none below nothing")
    if receipt.trap and receipt.status == SUCCESS:
        raise ReceiptRefused(f"{receipt.status} after the trap {receipt.trap!r}")
