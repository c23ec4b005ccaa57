"""The receipt: the signed, Lamport-ordered last word about one call (seed: Cryptographic Chain; T5, T6)."""

from __future__ import annotations

from helm.contracts.decision import check_verdict
from helm.contracts.form import Form, Noun

RECEIPT_VERSION = "helm.receipt/1"
GENESIS = "GENESIS"
"""The prev_hash of a session's first receipt."""


class Receipt(Noun, frozen=True):
    """Everything a receipt says. All of it, and its receipt_id, is under the signature.

    The seeds' eight: receipt_id, decision_id, effect_id, status, output_hash, prev_hash, lamport_clock, args_hash.
    `prev_hash` is the signature of the session's previous receipt, or GENESIS. `intent_node` is the hash of the
    INTENT node, "" for a refusal. The sandbox fields are empty where no sandbox
    ran; where one did, they say which bytes, under which lease and limits, what it cost, and which trap ended it.
    """

    args_hash: str
    decision_hash: str
    decision_id: str
    door: str
    effect_id: str
    fuel_used: int
    idempotency_key: str
    intent_node: str
    issued_at_ms: int
    key_id: str
    lamport_clock: int
    lease_id: str
    log_id: str
    module_hash: str
    output_hash: str
    policy_epoch: int
    policy_hash: str
    prev_hash: str
    principal: str
    reason_code: str
    record_hash: str
    risk_tier: str
    sandbox_grant_hash: str
    sandbox_limits: tuple[tuple[str, int], ...]
    """What the run could spend at most, each limit by its name, in the order of the names."""
    session_id: str
    status: str
    tenant: str
    tool: str
    transport: str
    trap: str
    """The name of what ended the run, "" where it ended by itself: a trap, a limit or a signal."""
    verdict: str
    version: str
    """RECEIPT_VERSION, for whoever reads it outside this program."""

    def __post_init__(self) -> None:
        check_receipt_verdict(self)
        if self.lamport_clock < 1:
            raise ValueError(f"a receipt's lamport_clock starts at 1, not {self.lamport_clock}")
        if (self.lamport_clock == 1) != (self.prev_hash == GENESIS):
            raise ValueError("exactly the first receipt of a session has prev_hash GENESIS")


def check_receipt_verdict(receipt: Receipt) -> None:
    """Raise ValueError where the receipt's verdict and decision reason cannot go together.

    An ALLOWed call may still fail: then reason_code says why it failed. A refused one carries its decision's reason.
    """
    if receipt.verdict != "ALLOW":
        check_verdict(receipt.verdict, receipt.reason_code)


RECEIPT = Form(Receipt)
