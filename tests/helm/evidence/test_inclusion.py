"""Every receipt of a pack can be shown to be in it: its leaf, the leaves beside it, and the roots of the others."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm.crypto.canonical import reread
from helm.crypto.hashing import digest
from helm.evidence.inclusion import SUBTREE, Inclusion, root_of, written
from helm.evidence.leaf import leaf_bytes, receipt_leaf
from helm.evidence.shards import SHARD_LINES
from helm.proofgraph.merkle import Tree
from helm.receipts.chain import SealedReceipt
from tests.helm.evidence.forger import inclusion, standalone
from tests.helm.evidence.material import Log


@cache
def receipts() -> tuple[SealedReceipt, ...]:
    log = Log().begin()
    return tuple(log.call("s1") for _ in range(20))


@pytest.mark.parametrize("size", [0, 1, 2, 3, 6, 8, 19])
def test_the_tree_of_a_pack_is_the_one_tree_of_the_house_and_of_the_script(size: int) -> None:
    leaves = [receipt_leaf(sealed) for sealed in receipts()[:size]]
    stated = reread(inclusion(receipts()[:size]))
    assert stated["root"] == written(Tree(leaves).head().root) == written(standalone().tree(leaves))
    assert (stated["size"], len(stated["subtrees"])) == (size, min(size, 1))


@given(st.integers(0, 5 * SUBTREE + 3))
def test_the_tree_over_the_subtrees_is_the_tree_over_the_leaves(size: int) -> None:
    leaves = [digest(b"%d" % number) for number in range(size)]
    tree = Inclusion()
    for leaf in leaves:
        tree.add(leaf)
    stated = reread(tree.head())
    assert stated["root"] == written(Tree(leaves).head().root)
    assert stated["subtrees"] == [written(root_of(leaves[at : at + SUBTREE])) for at in range(0, size, SUBTREE)]


def test_a_receipt_is_shown_by_its_shard_and_the_head_alone() -> None:
    assert SUBTREE == SHARD_LINES


def test_a_leaf_shows_what_condensation_needs() -> None:
    sealed = receipts()[3]
    leaf = reread(leaf_bytes(sealed))
    assert leaf == {
        "body_hash": sealed.receipt_hash,
        "lamport_clock": 4,
        "log_id": sealed.content.log_id,
        "prev_hash": receipts()[2].signature,
        "risk_tier": "T1",
        "session": "s1",
        "signature": sealed.signature,
        "tenant": "acme",
    }
