"""The tree over the receipts of a pack: one root, and the roots of the subtrees that it is made of.

Whoever is handed one receipt makes its subtree from the leaves around it, and the root from the others. No proof is
written down for each receipt: all leaves are in the pack.
"""

from __future__ import annotations

from typing import Final

import attrs

from helm.crypto.canonical import record_bytes
from helm.crypto.hashing import PREFIX
from helm.proofgraph.merkle import Frontier, complete

SUBTREE: Final = 1024
"""Leaves of a subtree: a power of two, as a tree is cut (RFC 9162 section 2.1.1)."""


def written(digest: bytes) -> str:
    """Return a hash of the tree as records write it."""
    return PREFIX + digest.hex()


@attrs.define
class Inclusion:
    """The tree as it grows: of its leaves, those of the last subtree are held."""

    size: int = attrs.field(default=0, init=False)
    _leaves: list[bytes] = attrs.field(factory=list, init=False, repr=False)
    _subtrees: list[bytes] = attrs.field(factory=list, init=False, repr=False)

    def add(self, leaf: bytes) -> None:
        """Take the hash of the next leaf."""
        self._leaves.append(leaf)
        self.size += 1
        if len(self._leaves) == SUBTREE:
            self._subtrees.append(root_of(self._leaves))
            self._leaves = []

    def head(self) -> bytes:
        """Return what a pack says of its tree."""
        subtrees = [*self._subtrees, *([root_of(self._leaves)] if self._leaves else [])]
        said = {"root": written(root_of(subtrees)), "size": self.size, "subtrees": [written(one) for one in subtrees]}
        return record_bytes(said)


def root_of(hashes: list[bytes]) -> bytes:
    """Return the root over these hashes (RFC 9162 section 2.1.1)."""
    return complete(hashes) if len(hashes) == SUBTREE else Frontier().extend(hashes).head().root
