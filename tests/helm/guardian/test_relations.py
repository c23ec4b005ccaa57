"""Relationships: the walk answers what the tuples say, never more, and always ends."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose, PurposeMismatch
from helm.crypto.ed25519 import PublicKey, SigningKey
from helm.guardian.bundle import compile_document
from helm.guardian.relations import (
    MAX_READ,
    AuthzModel,
    AuthzSnapshot,
    Question,
    Relations,
    RelationsCommand,
    check_relations,
    look,
    sign_relations,
    snapshot_hash,
    split,
)
from tests.helm.guardian.bundles import FULL

KEY = SigningKey.from_seed(b"p" * 32, KeyPurpose.POLICY)
MODEL = AuthzModel(
    model_id="docs/1",
    max_age_s=60,
    model={
        "document": {
            "viewer": ("editor", "parent.viewer"),
            "editor": ("owner",),
            "owner": (),
            "parent": (),
        },
        "folder": {"viewer": ("owner", "parent.viewer"), "owner": (), "parent": ()},
        "group": {"member": ()},
    },
)


def command(*add: str, **changes: Any) -> RelationsCommand:
    fields: dict[str, Any] = {
        "add": add,
        "issued_at_ms": 1,
        "key_id": KEY.key_id,
        "log_id": "sha256:log",
        "model_id": "docs/1",
        "remove": (),
        "sequence": 1,
    }
    return RelationsCommand(**fields | changes)


def ask(relations: Relations, written: str, *, now_ms: int = 1_000, authz: AuthzModel = MODEL) -> AuthzSnapshot:
    target, relation, subject = split(written)
    return look(relations, authz, Question(object=target, relation=relation, subject=subject), now_ms)


def holding(*tuples: str) -> Relations:
    relations = Relations()
    relations.apply(command(*tuples), 1_000)
    return relations


TUPLES = (
    "document:1#owner@user:ann",
    "document:1#viewer@group:staff#member",
    "group:staff#member@user:bob",
    "group:staff#member@group:guests#member",
    "group:guests#member@user:cid",
    "group:guests#member@group:staff#member",
    "document:1#parent@folder:f",
    "folder:f#parent@folder:top",
    "folder:top#owner@user:dan",
    "document:2#unheard@user:eve",
)


@pytest.mark.parametrize(
    ("asked", "decision"),
    [
        ("document:1#owner@user:ann", "related"),
        ("document:1#editor@user:ann", "related"),
        ("document:1#viewer@user:ann", "related"),
        ("document:1#viewer@user:bob", "related"),
        ("document:1#viewer@user:cid", "related"),
        ("document:1#viewer@user:dan", "related"),
        ("document:1#viewer@group:staff#member", "related"),
        ("document:1#editor@user:bob", "unrelated"),
        ("document:1#owner@user:dan", "unrelated"),
        ("document:2#viewer@user:ann", "unrelated"),
        ("document:2#unheard@user:eve", "unrelated"),
        ("nothing:2#viewer@user:ann", "unrelated"),
        ("document:1#viewer@user:ann2", "unrelated"),
    ],
)
def test_groups_unions_and_parents_are_walked(asked: str, decision: str) -> None:
    assert ask(holding(*TUPLES), asked).decision == decision


def reachable(tuples: frozenset[str]) -> set[tuple[str, str, str]]:
    """Return everything that follows, found by saying it again until nothing new comes: slow, and plainly right."""
    facts = {split(one) for one in tuples if split(one)[1] in MODEL.model.get(split(one)[0].partition(":")[0], {})}
    while True:
        new = set(facts)
        for target, relation, subject in facts:
            inner, _, inner_relation = subject.partition("#")
            if inner_relation:
                new |= {(target, relation, who) for t, r, who in facts if (t, r) == (inner, inner_relation)}
        for target in {fact[0] for fact in facts} | {fact[2] for fact in facts}:
            for relation, follows in MODEL.model.get(target.partition(":")[0], {}).items():
                for one in follows:
                    via, _, other = one.rpartition(".")
                    if not via:
                        new |= {(target, relation, who) for t, r, who in facts if (t, r) == (target, other)}
                    else:
                        above = {who for t, r, who in facts if (t, r) == (target, via) and "#" not in who}
                        new |= {(target, relation, who) for t, r, who in facts if t in above and r == other}
        if new == facts:
            return facts
        facts = new


OBJECTS = st.sampled_from(["document:1", "document:2", "folder:f", "folder:g", "group:a", "group:b"])
SUBJECTS = st.one_of(
    st.sampled_from(["user:u", "user:v"]),
    OBJECTS,
    st.sampled_from(["group:a#member", "group:b#member", "folder:f#owner"]),
)
WRITTEN = st.builds(
    lambda target, relation, subject: f"{target}#{relation}@{subject}",
    OBJECTS,
    st.sampled_from(["viewer", "editor", "owner", "parent", "member"]),
    SUBJECTS,
)


@settings(max_examples=300)
@given(st.frozensets(WRITTEN, max_size=14), OBJECTS, st.sampled_from(["viewer", "editor", "owner", "member"]))
def test_the_walk_says_what_follows_and_nothing_else(tuples: frozenset[str], target: str, relation: str) -> None:
    relations, truth = holding(*sorted(tuples)), reachable(tuples)
    for user in ("user:u", "user:v"):
        found = ask(relations, f"{target}#{relation}@{user}").decision
        direct = {fact for fact in truth if "parent" not in fact}
        assert (found == "related") == ((target, relation, user) in truth), (sorted(tuples), direct)


def test_a_walk_that_would_never_be_done_is_no_answer() -> None:
    relations = Relations()
    for number in range(MAX_READ // 1000 + 1):
        wide = [f"document:1#viewer@user:u{number}-{n}" for n in range(1000)]
        relations.apply(command(*wide, sequence=number + 1), 1_000)
    assert ask(relations, "document:1#viewer@user:nobody").decision == "unknown"
    deep = holding(*[f"group:g{n}#member@group:g{n + 1}#member" for n in range(100)])
    assert ask(deep, "group:g0#member@user:nobody").decision == "unknown"


def test_what_is_old_or_for_another_model_says_so() -> None:
    relations = holding(*TUPLES)
    asked = "document:1#owner@user:ann"
    assert not ask(relations, asked, now_ms=61_000).stale
    assert ask(relations, asked, now_ms=61_001).stale
    assert ask(relations, asked, now_ms=999).stale  # confirmed in the future: the clock was set back
    assert ask(relations, asked, authz=AuthzModel(model_id="docs/2", max_age_s=0, model=MODEL.model)).model_mismatch


def test_the_hash_covers_what_was_read() -> None:
    one = ask(holding(*TUPLES), "document:1#owner@user:ann")
    other = ask(holding(*TUPLES, "document:1#owner@user:zoe"), "document:1#owner@user:ann")
    elsewhere = ask(holding(*TUPLES, "document:9#owner@user:zoe"), "document:1#owner@user:ann")
    assert one.relationship_hash == elsewhere.relationship_hash != other.relationship_hash
    assert snapshot_hash(one) == snapshot_hash(elsewhere) != snapshot_hash(other)


def test_removed_is_removed_and_counting_is_right() -> None:
    relations = holding(
        *TUPLES,
    )
    relations.apply(command(TUPLES[0], "document:3#owner@user:x", sequence=2), 2_000)
    assert relations.count == len(TUPLES) + 1
    relations.apply(command(remove=(TUPLES[0], "document:4#owner@user:x"), sequence=3), 3_000)
    assert relations.count == len(TUPLES)
    assert ask(relations, TUPLES[0]).decision == "unrelated"
    with pytest.raises(Invalid, match="does not follow"):
        relations.apply(command(sequence=3), 4_000)


@pytest.mark.parametrize(
    "changes",
    [
        {"add": ("document:1",)},
        {"add": ("document:1#viewer@",)},
        {"add": ("document:1#viewer@user:a b",)},
        {"add": ("document:1#viewer@user:a#b#c",)},
        {"add": ("a:1#r@u:1", "a:1#r@u:1")},
        {"add": ("a:1#r@u:1",), "remove": ("a:1#r@u:1",)},
        {"add": tuple(f"a:{n}#r@u:1" for n in range(1001))},
    ],
    ids=["no relation", "no subject", "a blank", "two sets", "twice", "both ways", "too many"],
)
def test_what_is_no_command_cannot_be_signed(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        command(**changes)


def test_only_a_policy_key_says_who_is_related() -> None:
    one, key = command(*TUPLES), PublicKey.from_hex(KEY.public_key)
    check_relations(one, sign_relations(one, KEY), key)
    with pytest.raises(Invalid):
        check_relations(command("document:1#owner@user:eve"), sign_relations(one, KEY), key)
    for purpose in KeyPurpose:
        if purpose is not KeyPurpose.POLICY:
            with pytest.raises(PurposeMismatch):
                sign_relations(one, SigningKey.from_seed(b"x" * 32, purpose))


def bundle(relations: Any, **authz: Any) -> Any:
    return compile_document(copy.deepcopy(FULL) | {"authz": {"model_id": "m", "relations": relations} | authz})


@pytest.mark.parametrize(
    "relations",
    [
        {"document": {"viewer": ["editor"]}},
        {"document": {"viewer": ["parent.viewer"]}},
        {"document": {"viewer": ["parent.nothing"], "parent": []}},
        {"document": {"viewer": ["a.b.c"]}},
        {"document": {"vie.wer": []}},
        {"docu ment": {"viewer": []}},
    ],
    ids=str,
)
def test_a_model_that_speaks_of_what_it_has_not_is_refused(relations: Any) -> None:
    with pytest.raises(Invalid):
        bundle(relations)
    assert bundle({"document": {"viewer": ["parent.viewer"], "parent": []}}).authz.model["document"]["parent"] == ()
