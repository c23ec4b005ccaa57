"""A receipt's leaf: what stays of it in the log's tree, and what may stand for it after condensation.

The signed risk_tier is in it, so that no high-risk receipt hides among condensed ones; the signature is in
it, so that the next receipt's prev_hash still links; body_hash is the receipt_hash that a node binds.
"""

from __future__ import annotations

from helm.crypto import domains
from helm.crypto.canonical import record_bytes
from helm.proofgraph.merkle import leaf_hash
from helm.receipts.chain import SealedReceipt


def leaf_bytes(sealed: SealedReceipt) -> bytes:
    """Return the canonical leaf of a receipt."""
    receipt = sealed.content
    return record_bytes(
        {
            "body_hash": sealed.receipt_hash,
            "lamport_clock": receipt.lamport_clock,
            "log_id": receipt.log_id,
            "prev_hash": receipt.prev_hash,
            "risk_tier": receipt.risk_tier,
            "session": receipt.session_id,
            "signature": sealed.signature,
            "tenant": receipt.tenant,
        }
    )


def receipt_leaf(sealed: SealedReceipt) -> bytes:
    """Return the hash of a receipt's leaf (RFC 9162 section 2.1.1), over its HELM/Leaf/v1 bytes."""
    return leaf_hash(domains.LEAF + leaf_bytes(sealed))
