"""The trees that grow row by row are the trees that would be built at once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from helm.proofgraph.graph import NO_SESSION
from helm.proofgraph.merkle import Tree, leaf_hash
from helm.proofgraph.trees import NO_RECEIPT, Growth, Heads, Trees, head_leaf, read_peaks, record_leaf, written

LEAVES = st.lists(st.binary(max_size=4), max_size=70)


@given(LEAVES)
def test_a_tree_grown_leaf_by_leaf_is_the_tree_of_all_leaves_at_every_size(data: list[bytes]) -> None:
    leaves = [leaf_hash(one) for one in data]
    growth, whole = Growth(), Tree(leaves)
    for size, leaf in enumerate(leaves, 1):
        growth.add(leaf)
        assert growth.frontier().head() == whole.head(size)
    assert read_peaks([written(peak) for peak in growth.peaks]) == growth.frontier().peaks


@given(LEAVES, st.lists(st.tuples(st.integers(0, 69), st.binary(max_size=4)), max_size=20))
def test_a_leaf_that_is_replaced_leaves_the_tree_that_never_had_the_old_one(
    data: list[bytes], changes: list[tuple[int, bytes]]
) -> None:
    leaves = [leaf_hash(one) for one in data]
    tree = Tree(leaves)
    for index, new in changes:
        if index < len(leaves):
            leaves[index] = leaf_hash(new)
            tree.replace(index, leaf_hash(new))
    assert tree.head() == Tree(leaves).head()
    for index, leaf in enumerate(leaves):
        assert tree.inclusion(index) == Tree(leaves).inclusion(index) and leaf


Step = tuple[tuple[str, str], bool, bool]
"""A session, whether its node brings a receipt, and whether somebody looks at the heads then."""

SESSIONS = st.sampled_from([("t", "one"), ("t", "two"), ("u", "one"), NO_SESSION])


@given(st.lists(st.tuples(SESSIONS, st.booleans(), st.booleans()), max_size=60))
def test_heads_brought_up_now_and_then_are_the_heads_of_the_last_nodes(
    steps: list[tuple[tuple[str, str], bool, bool]],
) -> None:
    trees, nodes, order = Trees(), dict[tuple[str, str], str](), list[tuple[str, str]]()
    last: dict[tuple[str, str], tuple[int, str]] = {}
    for number, (session, has_receipt, looks) in enumerate(steps):
        trees.note_node(session)
        if session != NO_SESSION:
            nodes[session] = f"node {number}"
            if session not in order:
                order.append(session)
            if has_receipt:
                last[session] = (number, f"signature {number}")
                trees.note_receipt(session, leaf_hash(b"%d" % number), *last[session])
        if looks:
            trees.heads.bring_up(nodes)
    leaves = [head_leaf(session, nodes[session], *last.get(session, NO_RECEIPT)) for session in order]
    assert trees.heads.bring_up(nodes) == Tree(leaves).head()


def test_no_leaf_of_one_tree_is_a_leaf_of_another() -> None:
    text = "sha256:" + "0" * 64
    assert record_leaf(text) != leaf_hash(text.encode())
    assert head_leaf(("t", "s"), text, *NO_RECEIPT) != record_leaf(text)
    assert Heads().bring_up({}) == Tree().head()
