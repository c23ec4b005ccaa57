"""Attacks on the log's tree: a leaf that is not there, a rewritten past, a proof that proves too much."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm.crypto.hashing import digest
from helm.proofgraph.merkle import (
    EMPTY_ROOT,
    Frontier,
    Head,
    ProofInvalid,
    Span,
    Tree,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
    verify_several,
)
from tests import vectors

LEAVES = [leaf_hash(b"receipt %d" % number) for number in range(70)]
SIZES = st.integers(1, len(LEAVES))


def reference_root(leaves: Sequence[bytes]) -> bytes:
    """MTH as RFC 9162 section 2.1.1 writes it, recursively and slowly."""
    if not leaves:
        return digest(b"")
    if len(leaves) == 1:
        return leaves[0]
    half = 1
    while half * 2 < len(leaves):
        half *= 2
    return digest(b"\x01" + reference_root(leaves[:half]) + reference_root(leaves[half:]))


def test_a_leaf_and_a_node_of_the_same_bytes_have_two_hashes() -> None:
    """Else an inner node could be shown as a leaf that nobody logged."""
    left, right = LEAVES[:2]
    assert leaf_hash(left + right) != node_hash(left, right)
    assert leaf_hash(b"") == digest(b"\x00") != EMPTY_ROOT


@pytest.mark.parametrize("size", range(len(LEAVES) + 1))
def test_tree_and_frontier_have_the_root_of_the_definition(size: int) -> None:
    head = Head(size=size, root=reference_root(LEAVES[:size]))
    assert Tree(LEAVES[:size]).head() == head
    assert Tree(LEAVES).head(size) == head
    assert Frontier().extend(LEAVES[:size]).head() == head


@given(st.lists(st.integers(0, 20), max_size=5))
def test_batches_of_any_size_give_the_same_frontier(batches: list[int]) -> None:
    frontier, done = Frontier(), 0
    for batch in batches:
        frontier = frontier.extend(LEAVES[done : done + batch])
        done = min(done + batch, len(LEAVES))
        assert frontier.size == done
    assert frontier == Frontier().extend(LEAVES[:done])
    assert frontier == Frontier(size=frontier.size, peaks=frontier.peaks)


def test_a_batch_that_is_given_up_leaves_the_frontier_as_it_was() -> None:
    before = Frontier().extend(LEAVES[:5])
    head = before.head()
    before.extend(LEAVES[5:])
    assert before.head() == head


def test_a_last_leaf_that_is_doubled_changes_the_root() -> None:
    """Trees that fill a level by doubling give two lists one root (CVE-2012-2459)."""
    for size in range(1, 20):
        assert Tree(LEAVES[:size]).head().root != Tree([*LEAVES[:size], LEAVES[size - 1]]).head().root


@pytest.mark.parametrize(
    ("size", "peaks"), [(1, ()), (0, (bytes(32),)), (3, (bytes(32),)), (-1, ()), (1, (bytes(31),))]
)
def test_a_frontier_that_cannot_be_is_not_taken_from_a_snapshot(size: int, peaks: tuple[bytes, ...]) -> None:
    with pytest.raises(ValueError, match="peak"):
        Frontier(size=size, peaks=peaks)


@pytest.mark.parametrize(("size", "root"), [(-1, bytes(32)), (0, b""), (1, bytes(31)), (1, bytes(33))])
def test_a_head_that_cannot_be_is_not_built(size: int, root: bytes) -> None:
    with pytest.raises(ValueError, match="a head has"):
        Head(size=size, root=root)


@given(st.data(), SIZES)
def test_every_leaf_is_proved_under_every_head_after_it(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    tree = Tree(LEAVES)
    proof = tree.inclusion(index, size)
    verify_inclusion(LEAVES[index], index, proof, tree.head(size))
    assert proof == Tree(LEAVES[:size]).inclusion(index)


@given(st.data(), SIZES)
def test_a_proof_shows_one_leaf_at_one_place_in_one_tree(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    tree = Tree(LEAVES)
    head, proof = tree.head(size), tree.inclusion(index, size)
    for other in range(size):
        if other != index:
            with pytest.raises(ProofInvalid):
                verify_inclusion(LEAVES[index], other, proof, head)
            with pytest.raises(ProofInvalid):
                verify_inclusion(LEAVES[other], index, proof, head)
    with pytest.raises(ProofInvalid):
        verify_inclusion(LEAVES[index], index, proof, Head(size=size, root=LEAVES[index][::-1]))


@given(st.data(), SIZES)
def test_a_proof_that_was_changed_cut_or_lengthened_proves_nothing(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    tree = Tree(LEAVES)
    head, proof = tree.head(size), tree.inclusion(index, size)
    for bad in changed(proof, data):
        with pytest.raises(ProofInvalid):
            verify_inclusion(LEAVES[index], index, bad, head)


def changed(proof: tuple[bytes, ...], data: st.DataObject) -> list[list[bytes]]:
    """Every kind of damage to a proof, at a drawn place."""
    bad = [[*proof, bytes(32)], [bytes(32), *proof]]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        flipped = bytes([proof[at][0] ^ 1]) + proof[at][1:]
        bad += [
            [*proof[:at], *proof[at + 1 :]],
            [*proof[:at], flipped, *proof[at + 1 :]],
            [*proof[:at], proof[at][:-1], *proof[at + 1 :]],
            [*proof[:at], proof[at] + b"\x00", *proof[at + 1 :]],
        ]
    return bad


@pytest.mark.parametrize("index", [-1, 5, 2**64])
def test_a_leaf_outside_the_tree_is_neither_proved_nor_believed(index: int) -> None:
    tree = Tree(LEAVES[:5])
    with pytest.raises(ValueError, match="no leaf"):
        tree.inclusion(index)
    with pytest.raises(ProofInvalid, match="cannot be in a tree of 5"):
        verify_inclusion(LEAVES[0], index, tree.inclusion(0), tree.head())


def test_nothing_is_in_the_empty_tree() -> None:
    with pytest.raises(ProofInvalid):
        verify_inclusion(EMPTY_ROOT, 0, (), Tree().head())


@given(st.data(), SIZES)
def test_every_past_head_is_proved_to_begin_every_later_one(data: st.DataObject, size: int) -> None:
    old_size = data.draw(st.integers(1, size))
    tree = Tree(LEAVES)
    proof = tree.consistency(old_size, size)
    verify_consistency(tree.head(old_size), tree.head(size), proof)
    assert proof == Tree(LEAVES[:size]).consistency(old_size)


@given(st.data(), st.integers(2, len(LEAVES)))
def test_a_rewritten_past_is_seen(data: st.DataObject, size: int) -> None:
    old_size = data.draw(st.integers(1, size - 1))
    rewritten = data.draw(st.integers(0, old_size - 1))
    honest = Tree(LEAVES)
    forged = Tree([*LEAVES[:rewritten], leaf_hash(b"forged"), *LEAVES[rewritten + 1 :]])
    for proof in (honest.consistency(old_size, size), forged.consistency(old_size, size)):
        with pytest.raises(ProofInvalid):
            verify_consistency(honest.head(old_size), forged.head(size), proof)


@given(st.data(), st.integers(2, len(LEAVES)))
def test_a_consistency_proof_that_was_changed_proves_nothing(data: st.DataObject, size: int) -> None:
    old_size = data.draw(st.integers(1, size - 1))
    tree = Tree(LEAVES)
    for bad in changed(tree.consistency(old_size, size), data):
        with pytest.raises(ProofInvalid):
            verify_consistency(tree.head(old_size), tree.head(size), bad)
    with pytest.raises(ProofInvalid):
        verify_consistency(tree.head(old_size), tree.head(size), ())


def test_a_head_that_claims_more_leaves_than_its_root_has_is_seen() -> None:
    tree = Tree(LEAVES)
    with pytest.raises(ProofInvalid, match="too short"):
        verify_consistency(tree.head(1), Head(size=4, root=tree.head(2).root), tree.consistency(1, 2))
    with pytest.raises(ProofInvalid, match="too short"):
        verify_inclusion(LEAVES[0], 0, tree.inclusion(0, 2), Head(size=4, root=tree.head(2).root))


def test_a_head_that_claims_fewer_leaves_than_its_root_has_is_seen() -> None:
    tree = Tree(LEAVES)
    with pytest.raises(ProofInvalid, match="too long"):
        verify_consistency(tree.head(1), Head(size=2, root=tree.head(4).root), tree.consistency(1, 4))
    with pytest.raises(ProofInvalid, match="too long"):
        verify_inclusion(LEAVES[0], 0, tree.inclusion(0, 4), Head(size=2, root=tree.head(4).root))


def test_no_bytes_move_from_a_hash_of_the_proof_into_the_leaf() -> None:
    """Joined they are the same bytes, so the root would be the same for a leaf that nobody logged."""
    head = Tree(LEAVES[:2]).head()
    with pytest.raises(ProofInvalid, match="has not 32 bytes"):
        verify_inclusion(LEAVES[0] + LEAVES[1][:1], 0, (LEAVES[1][1:],), head)


def test_a_log_that_shrank_is_refused() -> None:
    tree = Tree(LEAVES)
    with pytest.raises(ProofInvalid, match="cannot continue"):
        verify_consistency(tree.head(5), tree.head(4), tree.consistency(4, 5))


def test_two_heads_of_one_size_are_one_head() -> None:
    tree = Tree(LEAVES)
    verify_consistency(tree.head(5), tree.head(5), ())
    with pytest.raises(ProofInvalid, match="two roots for 5 leaves"):
        verify_consistency(tree.head(5), Head(size=5, root=bytes(32)), ())
    with pytest.raises(ProofInvalid, match="too long"):
        verify_consistency(tree.head(5), tree.head(5), (bytes(32),))


def test_the_empty_log_begins_every_log_but_not_under_another_root() -> None:
    tree = Tree(LEAVES)
    verify_consistency(tree.head(0), tree.head(7), ())
    verify_consistency(tree.head(0), tree.head(0), ())
    with pytest.raises(ProofInvalid, match="two roots for 0 leaves"):
        verify_consistency(Head(size=0, root=bytes(32)), tree.head(7), ())


@pytest.mark.parametrize(("old_size", "size"), [(0, 3), (4, 3), (1, 71), (-1, 3)])
def test_no_proof_is_made_of_what_is_not_there(old_size: int, size: int) -> None:
    with pytest.raises(ValueError, match="leaves"):
        Tree(LEAVES).consistency(old_size, size)


@pytest.mark.parametrize("size", [-1, 71])
def test_no_head_is_made_of_what_is_not_there(size: int) -> None:
    with pytest.raises(ValueError, match="70 leaves"):
        Tree(LEAVES).head(size)
    with pytest.raises(ValueError, match="70 leaves"):
        Tree(LEAVES).inclusion(0, size)


def test_the_eight_leaves_of_rfc_6962_have_their_nine_roots() -> None:
    case = vectors.load(vectors.folder("merkle") / "rfc6962_8leaf.json")
    leaves = [leaf_hash(bytes.fromhex(data)) for data in case["leaf_inputs_hex"]]
    tree = Tree(leaves)
    assert [tree.head(size).root.hex() for size in range(9)] == case["root_hash_hex_by_size"]
    assert [Frontier().extend(leaves[:size]).head().root.hex() for size in range(9)] == (case["root_hash_hex_by_size"])


def hashes(written: Sequence[str] | None) -> list[bytes]:
    return [base64.b64decode(one) for one in written or ()]


def inclusion_holds(case: dict[str, Any]) -> bool:
    try:
        head = Head(size=case["treeSize"], root=base64.b64decode(case["root"] or ""))
        verify_inclusion(base64.b64decode(case["leafHash"]), case["leafIdx"], hashes(case["proof"]), head)
    except (ProofInvalid, ValueError):
        return False
    return True


def consistency_holds(case: dict[str, Any]) -> bool:
    try:
        old = Head(size=case["size1"], root=base64.b64decode(case["root1"] or ""))
        new = Head(size=case["size2"], root=base64.b64decode(case["root2"] or ""))
        verify_consistency(old, new, hashes(case["proof"]))
    except (ProofInvalid, ValueError):
        return False
    return True


def test_the_inclusion_proofs_of_other_logs_are_judged_as_they_judge_them() -> None:
    cases = [vectors.load(path) for path in (vectors.folder("merkle") / "inclusion").rglob("*.json")]
    assert len(cases) == 98
    assert [case["desc"] for case in cases if inclusion_holds(case) == case["wantErr"]] == []


def test_the_consistency_proofs_of_other_logs_are_judged_as_they_judge_them() -> None:
    cases = [vectors.load(path) for path in (vectors.folder("merkle") / "consistency").rglob("*.json")]
    assert len(cases) == 98
    stricter = [case["desc"] for case in cases if consistency_holds(case) == case["wantErr"]]
    # Its roots are equal words that are no hashes; a head of ours cannot hold them.
    assert stricter == ["sizes are equal (one) and proof is empty"]


@given(st.lists(st.binary(max_size=3), min_size=1, max_size=60), st.data())
def test_the_end_of_a_tree_proves_what_the_whole_tree_proves(data: list[bytes], draw: st.DataObject) -> None:
    leaves = [leaf_hash(one) for one in data]
    cut = draw.draw(st.integers(0, len(leaves) - 1))
    whole = Tree(leaves)
    span = Span(Frontier().extend(leaves[:cut]), leaves[cut:])
    assert span.head() == whole.head()
    for index in range(cut, len(leaves)):
        assert span.inclusion(index) == whole.inclusion(index)
    assert span.consistency() == (whole.consistency(cut) if cut else ())
    verify_consistency(whole.head(cut), whole.head(), span.consistency())
    chosen = sorted(draw.draw(st.sets(st.integers(cut, len(leaves) - 1))))
    proof = span.several(chosen)
    verify_several({index: leaves[index] for index in chosen}, proof, whole.head())
    if chosen:
        with pytest.raises(ProofInvalid):
            verify_several({index: leaf_hash(b"another") for index in chosen}, proof, whole.head())
        with pytest.raises(ProofInvalid):
            verify_several({index: leaves[index] for index in chosen}, (*proof, leaves[0]), whole.head())
        with pytest.raises(ProofInvalid):
            verify_several({index + len(leaves): leaves[index] for index in chosen}, proof, whole.head())
    if proof:
        with pytest.raises(ProofInvalid):
            verify_several({index: leaves[index] for index in chosen}, proof[:-1], whole.head())


def test_a_leaf_that_is_not_at_hand_is_proved_by_nobody() -> None:
    span = Span(Frontier().extend([leaf_hash(b"a")]), [leaf_hash(b"b")])
    for index in (0, 2, -1):
        with pytest.raises(ValueError, match="not at hand"):
            span.inclusion(index)
