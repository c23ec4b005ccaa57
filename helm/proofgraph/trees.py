"""What a checkpoint is taken of: the log's two growing trees, and the tree over the heads of its sessions.

Each row of the journal costs two hashes per leaf on the average, and nothing of what came before is hashed again.
Live and on reading back the same rows make the same trees.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import attrs

from helm.crypto.canonical import ordered_bytes
from helm.crypto.domains import HEAD_LEAF, RECORD_LEAF
from helm.crypto.hashing import PREFIX, digests, digests_of_pairs
from helm.proofgraph.graph import NO_SESSION, SessionKey
from helm.proofgraph.merkle import HASH_BYTES, LEAF, NODE, Frontier, Head, Tree, leaf_hash

NO_RECEIPT = (0, "GENESIS")
"""Clock and signature of a session that has no receipt yet, as its first receipt will name them."""


def record_leaf(record_hash: str) -> bytes:
    """Return the leaf of a boundary record, which its hash stands for."""
    return leaf_hash(RECORD_LEAF + record_hash.encode())


def record_leaves(record_hashes: Iterable[str]) -> list[bytes]:
    """Return the leaves of boundary records, in order."""
    return digests(LEAF + RECORD_LEAF, map(str.encode, record_hashes))


def head_leaf(session: SessionKey, node_hash: str, clock: int, signature: str) -> bytes:
    """Return the leaf of a session's head: its last node, and the clock and signature of its last receipt."""
    said = {"clock": clock, "node": node_hash, "session": session[1], "signature": signature, "tenant": session[0]}
    return leaf_hash(HEAD_LEAF + ordered_bytes(said))


@attrs.define
class Growth:
    """One tree that only grows, reduced to the roots of its complete subtrees, largest first."""

    size: int = 0
    peaks: list[bytes] = attrs.field(factory=list, repr=False)

    def add(self, *leaves: bytes) -> None:
        """Append leaf hashes, in order: level by level, so that many cost little more than their hashes."""
        nodes, beside, odd = [*leaves], self.size, list[bytes]()
        self.size += len(nodes)
        while nodes:
            if beside & 1:  # a complete subtree of this level stands before them
                nodes.insert(0, self.peaks.pop())
            beside >>= 1
            if len(nodes) & 1:
                odd.append(nodes.pop())
            nodes = digests_of_pairs(NODE, nodes)
        self.peaks += reversed(odd)

    def frontier(self) -> Frontier:
        """Return the tree as it stands now."""
        return Frontier(size=self.size, peaks=tuple(self.peaks))


@attrs.define
class Heads:
    """The tree over the sessions' heads, in the order of their first nodes: a session that was cut off shows (T6)."""

    numbers: dict[SessionKey, int] = attrs.field(factory=dict, repr=False)
    receipts: dict[SessionKey, tuple[int, str]] = attrs.field(factory=dict, repr=False)
    """Clock and signature of each session's last receipt."""
    touched: dict[SessionKey, None] = attrs.field(factory=dict, repr=False)
    """Sessions with a new node since the tree was last brought up to date, in the order of these."""
    tree: Tree = attrs.field(factory=Tree, repr=False)

    def bring_up(self, nodes: Mapping[SessionKey, str]) -> Head:
        """Return size and root over every session's head; `nodes` names the last node of each."""
        for session in self.touched:
            leaf = head_leaf(session, nodes[session], *self.receipts.get(session, NO_RECEIPT))
            number = self.numbers.setdefault(session, len(self.numbers))
            if number == len(self.tree):
                self.tree.append(leaf)
            else:
                self.tree.replace(number, leaf)
        self.touched.clear()
        return self.tree.head()


@attrs.define
class Trees:
    """The trees of one shard as of its last row."""

    receipts: Growth = attrs.field(factory=Growth)
    records: Growth = attrs.field(factory=Growth)
    heads: Heads = attrs.field(factory=Heads)

    def note_node(self, session: SessionKey) -> None:
        """Take note of a node of a session; control nodes have a chain of their own."""
        if session != NO_SESSION:
            self.heads.touched[session] = None

    def note_record(self, record_hash: str) -> None:
        """Take note of a boundary record."""
        self.records.add(record_leaf(record_hash))

    def note_receipt(self, session: SessionKey, leaf: bytes, clock: int, signature: str) -> None:
        """Take note of a receipt by the hash of its leaf."""
        self.receipts.add(leaf)
        self.heads.receipts[session] = (clock, signature)


def written(root: bytes) -> str:
    """Return a root as records write it."""
    return PREFIX + root.hex()


def read_peaks(texts: Sequence[str]) -> tuple[bytes, ...]:
    """Return hashes that were written out, each in its one form. Raises ValueError."""
    found = tuple(bytes.fromhex(text.removeprefix(PREFIX)) for text in texts)
    if [written(root) for root in found] != [*texts] or any(len(root) != HASH_BYTES for root in found):
        raise ValueError("not a hash in its one form")
    return found
