"""Which receipt may exist for which outcome; anything else is not sealed."""

from __future__ import annotations

from itertools import product

import pytest

from helm.contracts.reason import ReasonCode
from helm.contracts.receipt import Receipt
from helm.contracts.verdict import Status, Verdict
from helm.receipts.policy import OUTCOMES, ReceiptRefused, check_receipt
from tests.helm.receipts.test_chain import FIRST

CODES = {
    Verdict.ALLOW: ReasonCode.ERR_CONNECTOR_ERROR,
    Verdict.DENY: ReasonCode.PDP_DENY,
    Verdict.ESCALATE: ReasonCode.APPROVAL_REQUIRED,
}


def coherent(verdict: Verdict, status: Status) -> Receipt:
    """Return a receipt that is right in everything but, perhaps, its status for its verdict."""
    succeeded = status is Status.SUCCESS
    reason_code = "" if succeeded and verdict is Verdict.ALLOW else CODES[verdict].value
    return FIRST.but(
        intent_node="sha256:i" if verdict is Verdict.ALLOW else "",
        output_hash="sha256:o" if succeeded else "",
        reason_code=reason_code,
        status=status.value,
        verdict=verdict.value,
    )


@pytest.mark.parametrize(("verdict", "status"), list(product(Verdict, Status)))
def test_only_the_outcomes_of_a_verdict_are_sealed(verdict: Verdict, status: Status) -> None:
    receipt = coherent(verdict, status)
    fits = {
        Verdict.DENY: {Status.DENIED},
        Verdict.ESCALATE: {Status.ESCALATED},
        Verdict.ALLOW: set(Status) - {Status.DENIED, Status.ESCALATED},
    }[verdict]
    assert OUTCOMES[verdict] == fits
    if status in fits:
        check_receipt(receipt)
    else:
        with pytest.raises(ReceiptRefused):
            check_receipt(receipt)


@pytest.mark.parametrize(
    "receipt",
    [
        coherent(Verdict.ALLOW, Status.SUCCESS).but(intent_node=""),
        coherent(Verdict.DENY, Status.DENIED).but(intent_node="sha256:i"),
        coherent(Verdict.ALLOW, Status.SUCCESS).but(output_hash=""),
        coherent(Verdict.ALLOW, Status.FAILED).but(output_hash="sha256:o"),
        coherent(Verdict.DENY, Status.DENIED).but(output_hash="sha256:o"),
        coherent(Verdict.ALLOW, Status.SUCCESS).but(reason_code="ERR_CONNECTOR_ERROR"),
        coherent(Verdict.ALLOW, Status.FAILED).but(reason_code=""),
        coherent(Verdict.ALLOW, Status.FAILED).but(status="MAYBE"),
    ],
    ids=[
        "an execution without an intent",
        "a refusal with one",
        "a success without output",
        "a failure with output",
        "a refusal with output",
        "a success with a reason",
        "a failure without one",
        "an unknown status",
    ],
)
def test_a_receipt_that_tells_no_coherent_outcome_is_not_sealed(receipt: Receipt) -> None:
    with pytest.raises(ReceiptRefused):
        check_receipt(receipt)


RAN = coherent(Verdict.ALLOW, Status.SUCCESS).but(
    fuel_used=28, lease_id="lease_1", module_hash="sha256:m", sandbox_limits=(("fuel", 100), ("wall_ms", 5000))
)


def test_the_whole_evidence_of_a_run_is_sealed_and_a_trap_with_whatever_ended_it() -> None:
    check_receipt(RAN)
    check_receipt(RAN.but(status="FAILED", output_hash="", reason_code="ERR_COMPUTE_TRAP", trap="unreachable"))


@pytest.mark.parametrize(
    "receipt",
    [
        RAN.but(lease_id=""),
        RAN.but(module_hash=""),
        RAN.but(sandbox_limits=()),
        RAN.but(sandbox_limits=(("wall_ms", 5000), ("fuel", 100))),
        RAN.but(sandbox_limits=(("fuel", 100), ("fuel", 200))),
        RAN.but(sandbox_limits=(("fuel", -1),)),
        RAN.but(trap="unreachable"),
        coherent(Verdict.DENY, Status.DENIED).but(
            lease_id="lease_1", module_hash="sha256:m", sandbox_limits=(("fuel", 100),)
        ),
        coherent(Verdict.ALLOW, Status.FAILED).but(trap="unreachable"),
    ],
    ids=[
        "a run without a lease",
        "without a module",
        "without limits",
        "limits in another order",
        "one limit twice",
        "less than nothing",
        "an answer after a trap",
        "a run of a refused call",
        "a trap without a run",
    ],
)
def test_evidence_of_half_a_run_is_not_sealed(receipt: Receipt) -> None:
    with pytest.raises(ReceiptRefused):
        check_receipt(receipt)
