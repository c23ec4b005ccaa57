"""The tree over the receipts of an export: one root, and the proof that each receipt is under it.

Whoever is handed one receipt and its line of proofs can check both against the root in a signed manifest,
without the rest of the pack.
"""

from __future__ import annotations

from collections.abc import Sequence

from helm.crypto.canonical import record_bytes
from helm.crypto.hashing import PREFIX
from helm.evidence.leaf import receipt_leaf
from helm.evidence.lines import write_lines
from helm.proofgraph.merkle import Tree
from helm.receipts.chain import SealedReceipt


def written(digest: bytes) -> str:
    """Return a hash of the tree as records write it."""
    return PREFIX + digest.hex()


def inclusion(receipts: Sequence[SealedReceipt]) -> tuple[bytes, bytes]:
    """Return the head of the receipts' tree, and each one's proof in their order, as a pack keeps them."""
    tree = Tree(map(receipt_leaf, receipts))
    head = tree.head()
    proofs = [
        record_bytes(
            {
                "index": index,
                "path": [written(step) for step in tree.inclusion(index)],
                "receipt_id": sealed.receipt_id,
            }
        )
        for index, sealed in enumerate(receipts)
    ]
    return record_bytes({"root": written(head.root), "size": head.size}), write_lines(proofs)
