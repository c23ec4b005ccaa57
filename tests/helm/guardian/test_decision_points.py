"""Decision points in a bundle, and an answer that must be about the very call that is judged."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm.contracts.errors import Invalid
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import canonical, parse
from helm.guardian.bundle import load_toml
from helm.guardian.chain import CHAIN
from helm.guardian.destination import Pattern
from helm.guardian.facts import read_facts
from helm.guardian.opa import advice_of, no_advice
from helm.guardian.points import Advice, Question
from helm.guardian.world import World
from tests.actors.pointed import TOOL, with_opa
from tests.actors.policies import POLICY
from tests.helm.guardian.worlds import NOON_MS, call, policy, world

TEXT = with_opa(8181)
TRUE = b'{"result":true,"decision_id":"d-1","provenance":{"bundles":{"main":{"revision":"r1"}}}}'
SAID = {"n": 1, "note": "a"}


def here(**changes: Any) -> World:
    return world(policy=policy(TEXT), **changes)


def question(arguments: Any = None, there: World | None = None, **named: Any) -> Question:
    """Return what the point is asked of a call."""
    asked = CHAIN.question(call("asked", arguments or SAID, **named), there or here())
    assert asked is not None
    return asked


def advice(body: bytes = TRUE, of: Question | None = None) -> Advice:
    return advice_of(of or question(), body, asked_at_ms=NOON_MS, latency_ms=3)


def judged(there: World, arguments: Any = None, **named: Any) -> tuple[str, str]:
    decision = CHAIN.evaluate(call("asked", arguments or SAID, **named), there).decision.content
    return decision.reason_code, decision.reason


def test_a_call_that_nobody_asked_about_is_refused() -> None:
    assert judged(here()) == (ReasonCode.PDP_ERROR, "the decision point remote was not asked")


def test_a_call_of_which_the_point_says_true_is_allowed() -> None:
    assert judged(here(pdp=advice())) == ("", "")


def test_nothing_is_asked_of_a_call_that_is_refused_before() -> None:
    assert CHAIN.question(call("asked", SAID, principal="stranger"), here()) is None
    assert CHAIN.question(call("asked", {"n": "1"}), here()) is None
    assert CHAIN.question(call("asked", SAID), here(frozen="SYSTEM_FROZEN")) is None
    assert CHAIN.question(call("asked", SAID), here(connector_halted="drift")) is None
    assert CHAIN.question(call("read", {}), here()) is None


def test_nothing_is_told_where_a_ceiling_of_this_moment_forbids_to_go() -> None:
    plain = policy(TEXT)
    lower = attrs.evolve(plain.p0, denied_destinations=(Pattern.parse("127.0.0.0/8"),))
    there = world(policy=attrs.evolve(plain, p0=lower))
    assert CHAIN.question(call("asked", SAID), there) is None
    assert "a P0 ceiling forbids" in judged(there)[1]


OTHER_CALLS: dict[str, tuple[Any, dict[str, Any], dict[str, Any]]] = {
    "other arguments that were shown": ({"n": 2, "note": "a"}, {}, {}),
    "other arguments that were not shown": ({"n": 1, "note": "b"}, {}, {}),
    "another principal": (SAID, {"principal": "other"}, {}),
    "another session": (SAID, {"session": "z"}, {}),
    "a label that came with the call": (SAID, {"labels": ("web",)}, {}),
    "a session that is tainted by now": (SAID, {}, {"session_labels": ("web",)}),
    "another log": (SAID, {}, {"log_id": "sha256:another"}),
    "another policy": (SAID, {}, {"policy": policy(TEXT.replace("epoch = 7", "epoch = 8"))}),
}


@pytest.mark.parametrize("name", OTHER_CALLS)
def test_an_answer_about_another_call_is_not_taken(name: str) -> None:
    arguments, named, changes = OTHER_CALLS[name]
    there = here(pdp=advice()).but(**changes)
    code, reason = judged(there, arguments, **named)
    assert (code, "another call, or under another policy" in reason) == (ReasonCode.PDP_ERROR, True)


def test_an_answer_of_another_point_is_not_taken() -> None:
    assert judged(here(pdp=advice().but(point="elsewhere")))[0] == ReasonCode.PDP_ERROR


@pytest.mark.parametrize(("age_ms", "counts"), [(0, True), (10_000, True), (10_001, False), (-1, False)])
def test_an_answer_counts_as_long_as_the_policy_says(age_ms: int, counts: bool) -> None:
    there = here(pdp=advice(), now_ms=NOON_MS + age_ms)
    assert (judged(there)[0] == "") is counts


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (TRUE, ""),
        (TRUE.replace(b"true", b"false"), ReasonCode.PDP_DENY),
        (TRUE.replace(b'"result":true,', b""), ReasonCode.PDP_ERROR),
        (TRUE.replace(b"true", b"1"), ReasonCode.PDP_ERROR),
        (TRUE.replace(b"true", b'"true"'), ReasonCode.PDP_ERROR),
        (TRUE.replace(b"true", b"[]"), ReasonCode.PDP_ERROR),
        (TRUE.replace(b"r1", b"r2"), ReasonCode.PDP_ERROR),
        (TRUE.replace(b"r1", b"r2").replace(b"true", b"false"), ReasonCode.PDP_ERROR),
        (TRUE.replace(b'"main"', b'"other"'), ReasonCode.PDP_ERROR),
        (b'{"result":true,"provenance":[]}', ReasonCode.PDP_ERROR),
        (b'{"result":true,"provenance":{"bundles":[]}}', ReasonCode.PDP_ERROR),
        (b'{"result":true,"provenance":{"revision":"r1"}}', ReasonCode.PDP_ERROR),
        (b"", ReasonCode.PDP_ERROR),
        (b"[" * 5_000, ReasonCode.PDP_ERROR),
        (b'{"result":true,"result":true}', ReasonCode.PDP_ERROR),
    ],
)
def test_every_answer_comes_to_one_code(body: bytes, code: str) -> None:
    assert judged(here(pdp=advice(body)))[0] == code


def test_a_reason_does_not_carry_what_a_server_wrote_into_the_record() -> None:
    body = TRUE.replace(b"r1", b"x" * 256)
    _, reason = judged(here(pdp=advice(body)))
    assert len(reason) < 200
    assert "no answer" in judged(here(pdp=no_advice(question(), "no answer", asked_at_ms=NOON_MS, latency_ms=0)))[1]


def test_facts_with_advice_are_read_back_and_judged_the_same() -> None:
    first = CHAIN.evaluate(call("asked", SAID), here(pdp=advice()))
    again = CHAIN.evaluate(*read_facts(first.facts, policy(TEXT), "facts"))
    assert again.decision.hash == first.decision.hash


@pytest.mark.parametrize(
    "change",
    [
        {"result": 1},
        {"bundles": [["main"]]},
        {"asked_at_ms": "now"},
        {"more": ""},
    ],
)
def test_facts_with_advice_that_is_none_are_refused(change: dict[str, Any]) -> None:
    body = parse(CHAIN.evaluate(call("asked", SAID), here(pdp=advice())).facts)
    body["world"]["pdp"].update(change)
    with pytest.raises(Invalid):
        read_facts(canonical(body), policy(TEXT), "facts")


def test_facts_in_which_no_was_made_yes_come_to_another_decision() -> None:
    refused = CHAIN.evaluate(call("asked", SAID), here(pdp=advice(TRUE.replace(b"true", b"false"))))
    forged = refused.facts.replace(b'"result":"false"', b'"result":"true"')
    assert forged != refused.facts
    assert CHAIN.evaluate(*read_facts(forged, policy(TEXT), "facts")).decision.hash != refused.decision.hash


BROKEN: dict[str, tuple[str, str, str]] = {
    "another word for a point": ('kind = "opa"', 'kind = "rego"', "none of the words"),
    "a member that nobody reads": ('kind = "opa"', 'kind = "opa"\nretries = 3', "unknown key"),
    "no origin": ('origin = "http://127.0.0.1:8181"', 'origin = "127.0.0.1"', "not an origin"),
    "a path in the origin": ('8181"', '8181/v1"', "not an origin"),
    "http to another machine": ("http://127.0.0.1:8181", "http://10.0.0.7:8181", "anybody on the way"),
    "a name for http": ("http://127.0.0.1:8181", "http://localhost:8181", "anybody on the way"),
    "a private address": ("allow_private = true", "allow_private = false", "this connector reaches public"),
    "a metadata server": ("http://127.0.0.1:8181", "https://169.254.169.254", "a P0 ceiling forbids"),
    "a metadata address": ("http://127.0.0.1:8181", "https://[fd00:ec2::254]", "metadata"),
    "a path that climbs": ('"helm/allow"', '"../v1/policies"', "not the path of a rule"),
    "a path with a query": ('"helm/allow"', '"helm/allow?explain=full"', "not the path of a rule"),
    "an empty step": ('"helm/allow"', '"helm//allow"', "not the path of a rule"),
    "no bundle": ('bundles = { main = "r1" }', "", "no bundle is pinned"),
    "no revision": ('{ main = "r1" }', '{ main = "" }', "not a plain text"),
    "no time": ("deadline_ms = 10000", "deadline_ms = 0", "not within"),
    "too much time": ("deadline_ms = 10000", "deadline_ms = 60000", "not within"),
    "an age below the deadline": ("deadline_ms = 10000", "deadline_ms = 5000\nmax_age_ms = 4000", "not within"),
    "a token beside the bundle": ("deadline_ms = 10000", 'deadline_ms = 10000\ntoken_file = "token"', "absolute path"),
    "certificates for http": (
        "deadline_ms = 10000",
        'deadline_ms = 10000\nca_pem = "-----BEGIN CERTIFICATE-----"',
        "https origin",
    ),
    "a point that is not there": ('name = "remote"', 'name = "remove"', "is not declared"),
    "an argument that is not there": ('arguments = ["n"]', 'arguments = ["m"]', "no property m"),
    "a misspelt member of a tool": ('arguments = ["n"]', 'argument = ["n"]', "unknown key"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_bundle_with_a_broken_point_is_refused_by_name(name: str) -> None:
    good, bad, says = BROKEN[name]
    assert TEXT.count(good) == 1
    with pytest.raises(Invalid) as refused:
        load_toml(TEXT.replace(good, bad), "test policy")
    assert says in str(refused.value)


def test_all_arguments_are_shown_where_the_tool_says_so() -> None:
    text = TEXT.replace('arguments = ["n"]', 'arguments = ["*"]')
    asked = CHAIN.question(call("asked", SAID), world(policy=policy(text)))
    assert asked is not None
    assert parse(asked.request)["arguments"] == SAID


def test_a_tool_without_a_point_has_none() -> None:
    plain = policy(POLICY)
    assert (plain.remote_points, dict(plain.points)) == ((), {})
    assert "decision_point" in TOOL


ANSWERS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "result": st.sampled_from([True, False, None, 1, 0, "true", [], {}, 1.5]),
        "provenance": st.sampled_from(
            [
                {"bundles": {"main": {"revision": "r1"}}},
                {"bundles": {"main": {"revision": "r2"}}},
                {"bundles": {}},
                {"bundles": {"main": {"revision": "r1"}, "b": {"revision": "r1"}}},
                {"bundles": {"main": {}}},
                {"bundles": None},
                {},
                None,
                "r1",
            ]
        ),
        "warning": st.sampled_from([None, {}, "w"]),
        "decision_id": st.sampled_from(["", "d", 1, "two words", None]),
        "metrics": st.just({"timer": 1}),
    },
)


@given(ANSWERS)
def test_only_true_by_the_pinned_bundles_is_yes(answer: dict[str, Any]) -> None:
    code, _ = judged(here(pdp=advice(canonical(answer))))
    yes = answer.get("result") is True and answer.get("provenance") == {"bundles": {"main": {"revision": "r1"}}}
    clean = "warning" not in answer and answer.get("decision_id", "") in ("", "d")
    assert (code == "") is (yes and clean)
    first = CHAIN.evaluate(call("asked", SAID), here(pdp=advice(canonical(answer))))
    assert CHAIN.evaluate(*read_facts(first.facts, policy(TEXT), "facts")).decision.hash == first.decision.hash


@given(st.binary(max_size=60))
def test_no_bytes_are_more_than_an_answer(body: bytes) -> None:
    assert judged(here(pdp=advice(body)))[0] == ReasonCode.PDP_ERROR
