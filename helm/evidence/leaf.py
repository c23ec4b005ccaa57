"""A receipt's leaf: what stays of it in the log's tree, and what may stand for it after condensation.

The signed risk_tier is in it, so that no high-risk receipt hides among condensed ones; the signature is in
it, so that the next receipt's prev_hash still links; body_hash is the receipt_hash that a node binds.
"""

from __future__ import annotations

from collections.abc import Iterable

from helm.contracts.form import Noun
from helm.crypto import domains
from helm.crypto.canonical import ordered_bytes
from helm.crypto.hashing import digests
from helm.proofgraph.merkle import LEAF, leaf_hash
from helm.receipts.chain import SealedReceipt


class Leaf(Noun, frozen=True):
    """The members of a leaf, in their canonical order."""

    body_hash: str
    lamport_clock: int
    log_id: str
    prev_hash: str
    risk_tier: str
    session: str
    signature: str
    tenant: str


def leaf_bytes(sealed: SealedReceipt) -> bytes:
    """Return the canonical leaf of a receipt."""
    receipt = sealed.content
    return ordered_bytes(
        Leaf(
            sealed.receipt_hash,
            receipt.lamport_clock,
            receipt.log_id,
            receipt.prev_hash,
            receipt.risk_tier,
            receipt.session_id,
            sealed.signature,
            receipt.tenant,
        )
    )


def receipt_leaves(receipts: Iterable[SealedReceipt]) -> list[bytes]:
    """Return the hashes of the receipts' leaves, in order."""
    return digests(LEAF + domains.LEAF, map(leaf_bytes, receipts))


def receipt_leaf(sealed: SealedReceipt) -> bytes:
    """Return the hash of a receipt's leaf (RFC 9162 section 2.1.1), over its HELM/Leaf/v1 bytes."""
    return leaf_hash(domains.LEAF + leaf_bytes(sealed))
