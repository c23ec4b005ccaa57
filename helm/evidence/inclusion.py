"""The tree over the receipts of an export: one root, and the proof that each receipt is under it.

Whoever is handed one receipt and its line of proofs can check both against the root in a signed manifest,
without the rest of the pack.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from helm.crypto.canonical import record_bytes
from helm.crypto.hashing import PREFIX
from helm.proofgraph.merkle import EMPTY_ROOT, node_hash, split


def written(digest: bytes) -> str:
    """Return a hash of the tree as records write it."""
    return PREFIX + digest.hex()


def inclusion_of(leaves: Sequence[bytes], names: Sequence[str]) -> tuple[bytes, bytes]:
    """Return the head of a tree over these leaves, and each one's proof, as a pack keeps them.

    `names` are the receipts' ids, "" for one that was condensed: of that there is no proof.
    """
    head, proofs = proofs_of(leaves, names)
    return head, b"".join(proofs)


def proofs_of(leaves: Sequence[bytes], names: Sequence[str]) -> tuple[bytes, Iterator[bytes]]:
    """Return the head of a tree over these leaves, and the line of each proof: all of them are long."""
    paths: list[list[str]] = [[] for _ in leaves]
    root = grown(leaves, paths, 0) if leaves else EMPTY_ROOT
    lines = (
        record_bytes({"index": index, "path": paths[index], "receipt_id": name}) + b"\n"
        for index, name in enumerate(names)
        if name
    )
    return record_bytes({"root": written(root), "size": len(leaves)}), lines


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
