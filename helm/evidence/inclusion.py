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
from helm.proofgraph.merkle import EMPTY_ROOT, node_hash, split
from helm.receipts.chain import SealedReceipt


def written(digest: bytes) -> str:
    """Return a hash of the tree as records write it."""
    return PREFIX + digest.hex()


def inclusion(receipts: Sequence[SealedReceipt]) -> tuple[bytes, bytes]:
    """Return the head of the receipts' tree, and each one's proof in their order, as a pack keeps them."""
    return inclusion_of([receipt_leaf(sealed) for sealed in receipts], [sealed.receipt_id for sealed in receipts])


def inclusion_of(leaves: Sequence[bytes], names: Sequence[str]) -> tuple[bytes, bytes]:
    """Return the same for leaves and the receipts' ids, "" for one that was condensed: of that there is no proof."""
    paths: list[list[str]] = [[] for _ in leaves]
    root = grown(leaves, paths, 0) if leaves else EMPTY_ROOT
    proofs = [
        record_bytes({"index": index, "path": paths[index], "receipt_id": name})
        for index, name in enumerate(names)
        if name
    ]
    return record_bytes({"root": written(root), "size": len(leaves)}), write_lines(proofs)


def grown(leaves: Sequence[bytes], paths: list[list[str]], first: int) -> bytes:
    """Return the root over `leaves`, and lengthen the path of each, from number `first` on, by its siblings.

    All proofs of one tree at once, bottom up (RFC 9162 sections 2.1.1 and 2.1.3.1): each sibling is written out once.
    """
    if len(leaves) == 1:
        return leaves[0]
    middle = split(len(leaves))
    left, right = grown(leaves[:middle], paths, first), grown(leaves[middle:], paths, first + middle)
    for sibling, begin, end in ((written(right), 0, middle), (written(left), middle, len(leaves))):
        for path in paths[first + begin : first + end]:
            path.append(sibling)
    return node_hash(left, right)
