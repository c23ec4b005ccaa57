"""What stays of a receipt that was condensed: its leaf in the log's tree, and why it may stand for the receipt.

The leaf is under a signed checkpoint, its body_hash is the one that a node binds, its signature is the one that the
next receipt is chained to. What the receipt said beyond that lies in cold storage: only the true one hashes to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from helm.contracts.decision import ALLOW, Decision
from helm.contracts.form import Form, Noun
from helm.contracts.receipt import Receipt
from helm.contracts.verdict import RiskTier, Status
from helm.crypto import domains
from helm.crypto.canonical import ordered_bytes
from helm.evidence.lines import read_lines
from helm.evidence.payloads import Shape
from helm.proofgraph.merkle import leaf_hash
from helm.receipts.chain import SealedReceipt
from helm.wire import structure

LEAVES: Final = "condensed/leaves.jsonl"
COLD: Final = "condensed/cold.json"
OF_CONDENSED: Final = frozenset({LEAVES, COLD})

AT_ONCE: Final = frozenset({RiskTier.T0.value, RiskTier.T1.value})
"""Tiers whose receipts may be condensed as soon as a checkpoint covers them."""

T2_WINDOW_MS: Final = 30 * 24 * 3_600_000
"""How long a receipt of tier T2 stays whole: disputes about such a call come within weeks (T6)."""

EDITED: Final = "the pack was changed, or condensed by something else"


class Leaf(Noun, frozen=True, kw_only=True):
    """A receipt's leaf, as the log's tree has it."""

    body_hash: str
    lamport_clock: int
    log_id: str
    prev_hash: str
    risk_tier: str
    session: str
    signature: str
    tenant: str


LEAF: Final = Form(Leaf)
OF_COLD: Final = Shape({"cold_hash": str, "manifest_hash": str, "receipts": int})


def leaf_of(sealed: SealedReceipt) -> Leaf:
    """Return what stays of a receipt."""
    receipt = sealed.content
    return Leaf(
        body_hash=sealed.receipt_hash,
        lamport_clock=receipt.lamport_clock,
        log_id=receipt.log_id,
        prev_hash=receipt.prev_hash,
        risk_tier=receipt.risk_tier,
        session=receipt.session_id,
        signature=sealed.signature,
        tenant=receipt.tenant,
    )


def hash_of(leaf: Leaf) -> bytes:
    """Return the hash of a leaf, the same as that of its receipt."""
    return leaf_hash(domains.LEAF + ordered_bytes(leaf))


def read_leaves(members: Mapping[str, bytes]) -> Iterator[tuple[Leaf, str]]:
    """Yield the condensed leaves of a pack, in order, each with its place. Raises Invalid."""
    for body, where in read_lines(members.get(LEAVES, b""), LEAVES):
        yield structure(body, Leaf, where), where


def why_not(decision: Decision, leaf_tier: str, checkpoint_at_ms: int) -> str:
    """Say why a call's receipt must stay whole, "" where its leaf may stand for it.

    `checkpoint_at_ms` is when the last checkpoint was taken that the pack holds. T3 is never condensed, and neither is
    what was refused or rested on a human's word: of those every word may be asked for.
    """
    if leaf_tier != decision.risk_tier:
        return f"its leaf is of tier {leaf_tier!r}, its decision of {decision.risk_tier!r}"
    if decision.verdict != ALLOW or decision.approval_id:
        return "it was refused, or rested on an approval"
    if leaf_tier in AT_ONCE:
        return ""
    if leaf_tier == RiskTier.T2 and checkpoint_at_ms - decision.decided_at_ms >= T2_WINDOW_MS:
        return ""
    return f"it is of tier {leaf_tier}"


def is_plain(receipt: Receipt) -> bool:
    """Tell whether an outcome is the ordinary one; what went wrong stays whole."""
    return receipt.status == Status.SUCCESS
