"""A call proves itself with nothing but a key, and no field of its anchor can be changed."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import pytest

from helm.contracts.errors import Invalid
from helm.crypto import domains
from helm.crypto.canonical import canonical, reread
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey
from helm.crypto.hashing import hash_in
from helm.evidence.aigp import anchor_of, check_anchor
from helm.evidence.verify import check_pack
from tests.helm.evidence.forger import a_log, a_pack, pack_of, root_of
from tests.helm.evidence.material import key_of
from tests.tamper.matrix import changes, places

Anchor = dict[str, Any]

WRITTEN_OTHERWISE: Final = ("in another order", "named twice")
"""What is another text of the same value: an anchor is read as a value."""


def key(number: int = 1) -> PublicKey:
    return PublicKey.from_hex(key_of(KeyPurpose.EXECUTION, number).public_key)


@cache
def anchors() -> dict[str, Anchor]:
    """Return an anchor of each kind of call, by its status."""
    reading = check_pack(a_pack(), root_of(a_log()))
    found = {}
    for call in reading.calls:
        if call.receipt is not None:
            found[call.receipt.content.status] = anchor_of(reading, call.receipt.receipt_id)
    return found


def answers_of(status: str) -> dict[str, bool]:
    return {
        name: one["answer"] for name, one in anchors()[status].items() if name == "answers" for name, one in one.items()
    }


KINDS: Final = ("SUCCESS", "DENIED", "ESCALATED")


@pytest.mark.parametrize("status", KINDS)
def test_an_anchor_holds_with_nothing_but_the_execution_key(status: str) -> None:
    found = check_anchor(reread(canonical(anchors()[status], max_bytes=2**24)), key(), "anchor")
    assert found.receipt.content.status == status
    for one in anchors()[status]["answers"].values():
        value: Any = anchors()[status]
        for step in one["field"].removeprefix("/").split("/"):
            value = value[int(step)] if type(value) is list else value[step]
        assert value == one["value"]


def test_each_answer_is_of_this_very_call() -> None:
    yes = {"owned": True, "replayable": True, "stoppable": True}
    assert answers_of("SUCCESS") == yes | {"escalatable": False}
    assert answers_of("DENIED") == yes | {"escalatable": False}
    assert answers_of("ESCALATED") == yes | {"escalatable": True}


def test_an_executed_call_links_intent_attestation_and_effect() -> None:
    one = anchors()["SUCCESS"]
    kinds = {name: one[name]["kind"] for name in ("intent", "effect")}
    assert kinds == {"intent": "INTENT", "effect": "EFFECT"}
    assert one["attestation"] == {}
    assert [node["node_hash"] for node in one["stood_on"]] == one["intent"]["parents"]
    refused = anchors()["DENIED"]
    assert (refused["intent"], refused["effect"], refused["attestation"]["kind"]) == ({}, {}, "ATTESTATION")


def test_facts_that_were_left_out_make_a_call_that_cannot_be_judged_again() -> None:
    reading = check_pack(pack_of(a_log(), redact_facts=True), root_of(a_log()))
    body = anchor_of(reading, next(call.decision.id for call in reading.calls if call.receipt is not None))
    assert check_anchor(body, key(), "anchor").body["answers"]["replayable"]["answer"] is False
    lied = {**body, "answers": {**body["answers"], "replayable": {**body["answers"]["replayable"], "answer": True}}}
    with pytest.raises(Invalid, match="replayable"):
        check_anchor(lied, key(), "anchor")


@pytest.mark.parametrize("status", KINDS)
def test_no_field_of_an_anchor_can_be_changed(status: str) -> None:
    body, survivors = anchors()[status], list[Any]()
    for place in places(body):
        if place[:1] == ("facts",) and len(place) > 3:
            continue  # hashed as a whole: some of its fields stand for all
        for what, changed in changes(body, place, None):
            if what in WRITTEN_OTHERWISE or changed == body:
                continue
            try:
                check_anchor(changed, key(), "anchor")
            except Invalid:
                continue
            survivors.append((what, place))
    assert survivors == []


def test_another_key_believes_nothing() -> None:
    with pytest.raises(Invalid, match="receipt"):
        check_anchor(anchors()["SUCCESS"], key(2), "anchor")


@pytest.mark.parametrize("name", ["intent", "effect", "receipt", "stood_on", "facts", "attestation"])
def test_nothing_of_another_call_passes_for_this_ones(name: str) -> None:
    reading = check_pack(pack_of(a_log(), "s2"), root_of(a_log()))
    theirs = {
        call.receipt.content.status: anchor_of(reading, call.receipt.receipt_id)
        for call in reading.calls
        if call.receipt is not None
    }
    for status, other in (("SUCCESS", theirs["SUCCESS"]), ("DENIED", theirs["DENIED"])):
        mixed = anchors()[status] | {name: other[name]}
        if mixed == anchors()[status]:
            continue
        with pytest.raises(Invalid):
            check_anchor(mixed, key(), "anchor")


def test_a_node_that_is_hashed_anew_is_not_the_one_that_was_signed() -> None:
    body: Anchor = reread(canonical(anchors()["SUCCESS"], max_bytes=2**24))
    intent = body["intent"]
    intent["payload"]["decision"]["principal"] = "somebody else"
    intent["node_hash"] = hash_in(
        domains.NODE, canonical({name: value for name, value in intent.items() if name != "node_hash"})
    )
    with pytest.raises(Invalid):
        check_anchor(body, key(), "anchor")


def _hashed_anew(node: Anchor) -> None:
    rest = {name: value for name, value in node.items() if name != "node_hash"}
    node["node_hash"] = hash_in(domains.NODE, canonical(rest))


def _places_of(node: Anchor, name: str) -> dict[str, Any]:
    """Return another value for each member of a node that no other check holds, by its place in the anchor."""
    plain = {"lamport": node["lamport"] + 7, "parents": sorted([*node["parents"], "sha256:" + "0" * 64]), "shard": "7"}
    plain |= {"principal": "another", "session_id": "another", "tenant": "another"}
    return {f"/{name}/{member}": value for member, value in plain.items()}


@pytest.mark.parametrize("status", KINDS)
def test_what_the_key_says_nothing_of_is_told_by_name(status: str) -> None:
    """Nodes that are hashed anew pass nowhere but where the reader is told that only the log proves them."""
    name = "effect" if status == "SUCCESS" else "attestation"
    told = check_anchor(anchors()[status], key(), "anchor").unsigned
    for place, value in _places_of(anchors()[status][name], name).items():
        body: Anchor = reread(canonical(anchors()[status], max_bytes=2**24))
        body[name][place.rpartition("/")[2]] = value
        if place == "/attestation/parents":
            body[name]["parents"], body["stood_on"] = [], []
        _hashed_anew(body[name])
        try:
            check_anchor(body, key(), "anchor")
        except Invalid:
            continue
        assert place in told


def test_the_words_beside_an_effect_are_told_as_unsigned() -> None:
    body: Anchor = reread(canonical(anchors()["SUCCESS"], max_bytes=2**24))
    body["effect"]["payload"]["reason"] = "it paid a million"
    _hashed_anew(body["effect"])
    assert "/effect/payload/reason" in check_anchor(body, key(), "anchor").unsigned


@pytest.mark.parametrize("member", ["principal", "session_id", "tenant"])
@pytest.mark.parametrize("status", KINDS)
def test_a_node_of_somebody_else_does_not_end_a_call(status: str, member: str) -> None:
    name = "effect" if status == "SUCCESS" else "attestation"
    body: Anchor = reread(canonical(anchors()[status], max_bytes=2**24))
    body[name][member] = "another"
    _hashed_anew(body[name])
    with pytest.raises(Invalid, match="another tenant, session or principal"):
        check_anchor(body, key(), "anchor")


def test_a_call_under_way_and_one_that_nobody_knows_have_no_anchor() -> None:
    reading = check_pack(a_pack(), root_of(a_log()))
    open_call = next(call for call in reading.calls if call.outcome is None)
    for wanted in (open_call.decision.id, "rcpt_" + "0" * 32):
        with pytest.raises(Invalid):
            anchor_of(reading, wanted)


def test_what_is_no_anchor_is_refused() -> None:
    newer = anchors()["SUCCESS"] | {"version": "helm.aigp-anchor/2"}
    bodies: list[Any] = [[], {}, {"version": "helm.aigp-anchor/1"}, 1, None, newer]
    for body in bodies:
        with pytest.raises(Invalid):
            check_anchor(body, key(), "anchor")
