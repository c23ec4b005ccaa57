"""The ProofGraph: a dense clock, causes that come before, and nothing that was changed afterwards (T9.3)."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm.contracts.errors import Invalid
from helm.crypto.canonical import canonical, parse, record_bytes
from helm.crypto.domains import NODE
from helm.crypto.hashing import hash_in
from helm.proofgraph.graph import Fold, Graph
from helm.proofgraph.node import Draft, Node, NodeKind, place

Body = dict[str, Any]
CONTROL = Draft(NodeKind.TRUST_EVENT.value, b'{"type":"X"}')


def draft(session: str, text: str = "x", relies_on: tuple[str, ...] = (), tenant: str = "t") -> Draft:
    payload = record_bytes({"text": text, "parents": ',"parents":['})
    return Draft(NodeKind.INTENT.value, payload, tenant, session, "p", relies_on)


def written() -> tuple[Graph, list[Body]]:
    """Return a small graph with two sessions and control nodes, and its nodes as objects."""
    graph = Graph("0")
    nodes: list[Node] = [graph.append(CONTROL), graph.append(CONTROL)]
    nodes += [graph.append(draft(session)) for session in ("a", "b", "a")]
    nodes.append(graph.append(CONTROL))
    nodes.append(graph.append(draft("a", relies_on=(nodes[2].node_hash,))))
    nodes.append(graph.append(draft("a", tenant="u")))
    return graph, [parse(node.json) for node in nodes]


def fold(bodies: list[Body]) -> Graph:
    folding = Fold(Graph("0"))
    for number, body in enumerate(bodies, 1):
        folding.take(copy.deepcopy(body), f"entry {number}")
    return folding.graph


def renamed(body: Body) -> Body:
    """Return the node under the name that it earns, as who edits it would leave it."""
    said = {member: value for member, value in body.items() if member != "node_hash"}
    return {**said, "node_hash": hash_in(NODE, canonical(said))}


def test_a_fold_comes_to_the_same_edge() -> None:
    graph, bodies = written()
    assert fold(bodies) == graph


def test_a_node_is_one_canonical_object_under_the_name_it_earns() -> None:
    node = place(draft("s", "\u00e9"), 3, ("sha256:a", "sha256:b"), "0")
    body = parse(node.json)
    assert canonical(body) == node.json
    assert renamed(body) == body
    assert (node.lamport, body["node_hash"]) == (3, node.node_hash)


def test_every_node_stands_on_its_sessions_last_the_control_head_and_what_it_relied_on() -> None:
    _, bodies = written()
    hashes = [body["node_hash"] for body in bodies]
    parents = [[hashes.index(parent) + 1 for parent in body["parents"]] for body in bodies]
    assert [sorted(numbers) for numbers in parents] == [[], [1], [2], [2], [2, 3], [2], [3, 5, 6], [6]]
    assert [body["lamport"] for body in bodies] == list(range(1, 9))
    assert all(body["parents"] == sorted(set(body["parents"])) for body in bodies)


def missing(bodies: list[Body], at: int) -> None:
    del bodies[at]


def doubled(bodies: list[Body], at: int) -> None:
    bodies.insert(at, bodies[at - 1])


def moved(bodies: list[Body], at: int) -> None:
    bodies[at], bodies[at - 1] = bodies[at - 1], bodies[at]


def edited(member: str, value: Any) -> Callable[[list[Body], int], None]:
    def attack(bodies: list[Body], at: int) -> None:
        bodies[at][member] = value

    return attack


def resealed(member: str, value: Callable[[list[Body]], Any]) -> Callable[[list[Body], int], None]:
    """Edit as an insider would: with the name that the edited node earns."""

    def attack(bodies: list[Body], at: int) -> None:
        bodies[at] = renamed({**bodies[at], member: value(bodies)})

    return attack


def unnamed(bodies: list[Body], at: int) -> None:
    del bodies[at]["principal"]


def named_twice(bodies: list[Body], at: int) -> None:
    bodies[at]["more"] = 1


ATTACKS: Mapping[str, tuple[Callable[[list[Body], int], None], str]] = {
    "a missing node": (missing, "missing, doubled or moved"),
    "a node twice": (doubled, "missing, doubled or moved"),
    "two nodes moved": (moved, "missing, doubled or moved"),
    "an edited payload": (edited("payload", {"text": "y"}), "it was edited"),
    "an edited principal": (edited("principal", "mallory"), "it was edited"),
    "an edited session": (edited("session_id", "c"), "it was edited"),
    "an edited tenant": (edited("tenant", "u"), "it was edited"),
    "an edited kind": (edited("kind", "EFFECT"), "it was edited"),
    "an unknown kind": (edited("kind", "WISH"), "of kind"),
    "a name it did not earn": (edited("node_hash", "sha256:" + "0" * 64), "it was edited"),
    "a member that is gone": (unnamed, "is not an object of"),
    "a member more": (named_twice, "is not an object of"),
    "a clock of another type": (edited("lamport", 5.0), "lamport that is float"),
    "a clock that is true": (edited("lamport", True), "lamport that is bool"),
    "parents of another type": (edited("parents", "x"), "parents that is str"),
    "parents that are no texts": (edited("parents", [1]), "not texts"),
    "a clock that jumps": (resealed("lamport", lambda bodies: 9), "lamport 9 follows 4"),
    "another shard": (resealed("shard", lambda bodies: "1"), "belongs to shard"),
    "a fork: no parents": (resealed("parents", lambda bodies: []), "forks the graph"),
    "a fork: not the session's last": (
        resealed("parents", lambda bodies: [bodies[1]["node_hash"]]),
        "forks the graph",
    ),
    "a parent to come": (
        resealed("parents", lambda bodies: sorted([*bodies[4]["parents"], bodies[6]["node_hash"]])),
        "does not come before it",
    ),
    "a parent from nowhere": (
        resealed("parents", lambda bodies: sorted([*bodies[4]["parents"], "sha256:" + "f" * 64])),
        "does not come before it",
    ),
    "a parent in another spelling": (
        resealed("parents", lambda bodies: sorted(parent.upper() for parent in bodies[4]["parents"])),
        "does not come before it",
    ),
    "a parent twice": (resealed("parents", lambda bodies: bodies[4]["parents"] * 2), "not sorted and unique"),
}


@pytest.mark.parametrize(("attack", "said"), ATTACKS.values(), ids=ATTACKS)
def test_whatever_was_changed_is_refused_where_it_stands(attack: Callable[[list[Body], int], None], said: str) -> None:
    _, bodies = written()
    attack(bodies, 4)
    with pytest.raises(Invalid, match=said) as invalid:
        fold(bodies)
    assert invalid.value.where in ("entry 4", "entry 5")


@given(st.lists(st.sampled_from(["", "a", "b", "c"]), max_size=20), st.data())
def test_no_node_can_be_left_out_unnoticed_but_the_last(sessions: list[str], data: st.DataObject) -> None:
    graph = Graph("0")
    bodies = [parse(graph.append(draft(session) if session else CONTROL).json) for session in sessions]
    assert fold(bodies) == graph
    if len(bodies) > 1:
        left_out = data.draw(st.integers(0, len(bodies) - 2))
        with pytest.raises(Invalid):
            fold(bodies[:left_out] + bodies[left_out + 1 :])
