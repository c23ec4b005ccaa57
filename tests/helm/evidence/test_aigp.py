"""A call proves itself with nothing but a key, and no field of its anchor can be changed."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import pytest

from helm.contracts.errors import Invalid
from helm.crypto import domains
from helm.crypto.canonical import canonical, reread
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey
from helm.crypto.hashing import hash_in
from helm.crypto.seals import seal_decision
from helm.evidence.aigp import anchor_of, check_anchor
from helm.evidence.unseal import unseal_decision, unseal_receipt
from helm.evidence.verify import check_pack
from helm.receipts.chain import seal
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


def untouched(_: Anchor) -> None:
    """Change nothing."""


def remade(
    status: str,
    *,
    call: Callable[[Anchor], object] = untouched,
    receipt: dict[str, Any] | None = None,
    effect: Callable[[Anchor], object] = untouched,
) -> Anchor:
    """Return an anchor in which all follows what was changed, signed anew: what an insider with the pen can do.

    `call` changes the node of the call, `effect` the one that ended it, `receipt` what is signed of it.
    """
    body: Anchor = reread(canonical(anchors()[status], max_bytes=2**24))
    said = unseal_receipt(body["receipt"], "anchor").content
    intent, old = body["intent"], said.intent_node
    if intent:
        call(intent)
        _hashed_anew(intent)
        said = said.but(intent_node=intent["node_hash"])
    sealed = seal(said.but(**(receipt or {})), key_of(KeyPurpose.EXECUTION))
    body["receipt"] = reread(sealed.json)
    if not intent:
        body["attestation"]["payload"]["receipt_hash"] = sealed.receipt_hash
        call(body["attestation"])
        _hashed_anew(body["attestation"])
        return body
    ended = body["effect"]
    ended["payload"] |= {"intent_node": intent["node_hash"], "receipt_hash": sealed.receipt_hash}
    ended["parents"] = sorted(intent["node_hash"] if one == old else one for one in ended["parents"])
    effect(ended)
    _hashed_anew(ended)
    return body


def another_decision(node: Anchor) -> None:
    """Say that the call was judged for another reason: no answer and no fact tells."""
    told = unseal_decision(node["payload"]["decision"], "anchor").content
    node["payload"]["decision"] = reread(seal_decision(told.but(reason="another")).json)


def another_record(node: Anchor) -> None:
    """Put the record of another call beside the decision."""
    other = next(one for status, one in anchors().items() if one["receipt"]["record_hash"] not in str(node))
    node["payload"]["record"] = (other["intent"] or other["attestation"])["payload"]["record"]


def another_effect(node: Anchor) -> None:
    """Say of an intent that it wanted something else."""
    if "effect" in node["payload"]:
        node["payload"]["effect"] = {"connector": "another"}


def says(**change: Any) -> Callable[[Anchor], object]:
    """Return a change of what a node says."""
    return lambda node: node["payload"].update(change)


def stands(**change: Any) -> Callable[[Anchor], object]:
    """Return a change of the node around what it says."""
    return lambda node: node.update(change)


def test_what_is_made_to_fit_holds_where_only_the_signer_answers_for_it() -> None:
    """So each forgery below is refused for the one thing that does not fit."""
    for status in KINDS:
        made = remade(status, call=another_effect, receipt={"fuel_used": 7})
        assert made != anchors()[status]
        check_anchor(made, key(), "anchor")


NOBODY: Final = "sha256:" + "0" * 64

FORGERIES: Final[dict[str, tuple[str, str, dict[str, Any]]]] = {
    "another decision": ("SUCCESS", "not those of the receipt", {"call": another_decision}),
    "another decision of a refusal": ("DENIED", "not those of the receipt", {"call": another_decision}),
    "another record": ("SUCCESS", "not those of the receipt", {"call": another_record}),
    "another record of a refusal": ("DENIED", "not those of the receipt", {"call": another_record}),
    "another name of the decision": (
        "SUCCESS",
        "not those of the receipt",
        {"receipt": {"decision_id": "dec_" + "0" * 32}},
    ),
    "a receipt of another intent": ("SUCCESS", "intent is not the receipt's", {"receipt": {"intent_node": NOBODY}}),
    "an intent that is none": ("SUCCESS", "not the end of its intent", {"call": stands(kind="ATTESTATION")}),
    "an effect that is none": ("SUCCESS", "not the end of its intent", {"effect": stands(kind="ATTESTATION")}),
    "the end of another intent": ("SUCCESS", "not the end of its intent", {"effect": says(intent_node=NOBODY)}),
    "an end with another receipt": ("SUCCESS", "not the end of its intent", {"effect": says(receipt_hash=NOBODY)}),
    "an effect that stands on nothing": ("SUCCESS", "does not stand on its intent", {"effect": stands(parents=[])}),
    "an effect before its intent": ("SUCCESS", "does not stand on its intent", {"effect": stands(lamport=1)}),
    "an effect of another shard": ("SUCCESS", "another shard", {"effect": stands(shard="7")}),
    "an intent of somebody else": ("SUCCESS", "another tenant, session", {"call": stands(principal="another")}),
    "an intent that stands on less": ("SUCCESS", "not what its node says", {"call": stands(parents=[])}),
    "an intent before what it stands on": ("SUCCESS", "not what its node says", {"call": stands(lamport=1)}),
    "a refusal that is none by its kind": ("DENIED", "not the refusal", {"call": stands(kind="EFFECT")}),
    "a refusal that is none by its type": ("DENIED", "not the refusal", {"call": says(type="FREEZE")}),
    "an intent that says more": ("SUCCESS", "other members", {"call": says(note="x")}),
    "an effect that says more": ("SUCCESS", "other members", {"effect": says(note="x")}),
    "a refusal that says more": ("DENIED", "other members", {"call": says(note="x")}),
    "the refusal of another receipt": ("DENIED", "not the refusal", {"call": says(receipt_hash=NOBODY)}),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_an_anchor_that_an_insider_made_of_what_does_not_fit_is_refused_though_it_is_signed(name: str) -> None:
    status, what, changes_made = FORGERIES[name]
    with pytest.raises(Invalid, match=what):
        check_anchor(remade(status, **changes_made), key(), "anchor")


@pytest.mark.parametrize("status", KINDS)
def test_a_call_is_not_both_refused_and_executed(status: str) -> None:
    """What is beside an anchor's own nodes hashes to its name, and nothing links it to the call."""
    names, other = (("attestation",), "DENIED") if status == "SUCCESS" else (("intent", "effect"), "SUCCESS")
    for name in names:
        with pytest.raises(Invalid, match=r"has no effect|nothing else"):
            check_anchor(anchors()[status] | {name: anchors()[other][name]}, key(), "anchor")


@pytest.mark.parametrize(("status", "name"), [("SUCCESS", "intent"), ("SUCCESS", "effect"), ("DENIED", "attestation")])
def test_a_call_without_its_own_node_is_refused(status: str, name: str) -> None:
    with pytest.raises(Invalid, match=r"has no effect|nothing else"):
        check_anchor(anchors()[status] | {name: {}}, key(), "anchor")
