"""Cedar at a decision point: what is refused at load, what a call cannot smuggle in, and what counts as an answer."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm.contracts.errors import Invalid, Malformed
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Verdict
from helm.guardian.bundle import load_toml
from helm.guardian.cedar import CedarError, CedarProgram
from helm.guardian.cedar_text import MAX_NESTING, matching_bytes
from helm.guardian.chain import CHAIN
from helm.guardian.points import CedarPoint
from tests.actors.pointed import WITH_CEDAR
from tests.helm.guardian.worlds import call, policy, world

SCHEMA = """
entity Principal in [Group]; entity Group; entity Tool;
action "pay" appliesTo { principal: Principal, resource: Tool, context: { call: HelmCall, arguments: {
  n?: Long, text?: String, who?: Principal, from?: ipaddr, list?: Set<Long>, inner?: { who?: Principal } } } };
"""

CALL: dict[str, Any] = {
    "args_hash": "sha256:a",
    "delegation_id": "",
    "delegator": "",
    "destination": "",
    "effect_type": "payment",
    "irreversible": False,
    "labels": ["web"],
    "log_id": "sha256:l",
    "policy_epoch": 7,
    "policy_hash": "sha256:p",
    "principal": 'mal"ory\\',
    "risk_tier": "T1",
    "session_id": "s",
    "spend_cents": 5,
    "tenant": "t",
    "tool": "pay",
    "trust": "untrusted",
    "version": "helm.pdp/1",
}

ANYONE = "permit (principal, action, resource);"


def compile_point(policies: str = ANYONE, schema: str = SCHEMA, entities: str = "[]") -> CedarProgram:
    texts = {"policies": policies, "schema": schema, "entities": entities}
    return CedarProgram.compile(texts, {name: f"house.{name}" for name in texts})


def when(condition: str) -> str:
    return f"permit (principal, action, resource) when {{ {condition} }};"


@pytest.mark.parametrize(
    "policies",
    [
        when("(" * 60_000 + "true" + ")" * 2_000),
        when("(" * 3_000 + "true" + ")" * 3_000),
        when("[" * 3_000 + "]" * 3_000 + " == []"),
        when("{a:" * 3_000 + "1" + "}" * 3_000 + " == {}"),
        when("ip(" * 3_000 + '"10.0.0.1"' + ")" * 3_000 + ".isIpv4()"),
        when("// (\n" + "(" * 3_000 + "true" + ")" * 3_000),
        when('"\\"(" == ' + "(" * 3_000 + '"a"' + ")" * 3_000),
        when(f'")" == "" && {"(" * 3_000} true {")" * 3_000}'),
    ],
)
def test_a_text_of_nested_brackets_does_not_end_the_process(policies: str) -> None:
    with pytest.raises(Invalid) as refused:
        compile_point(policies)
    assert refused.value.where == "house.policies"


@pytest.mark.parametrize(
    "condition",
    [
        "if true then " * 2_000 + "true" + " else false" * 2_000,
        "true && " * 4_000 + "true",
        "1 + " * 4_000 + "1 > 0",
        "context.call" + ".a" * 4_000 + " == 1",
        "!" * 4_000 + "true",
        "(" * (MAX_NESTING - 2) + "true" + ")" * (MAX_NESTING - 2),
    ],
)
def test_other_long_texts_are_refused_or_evaluated_and_do_not_end_the_process(condition: str) -> None:
    try:
        permitted, _ = compile_point(when(condition)).permits(CALL, {})
    except (Invalid, CedarError):
        return
    assert permitted


def test_a_schema_of_nested_types_does_not_end_the_process() -> None:
    with pytest.raises(Invalid, match="deeper"):
        compile_point(schema=SCHEMA + f"type Deep = {'Set<' * 3_000}Long{'>' * 3_000};")


@pytest.mark.parametrize(
    ("changes", "where", "says"),
    [
        ({"policies": "permit (principal"}, "house.policies", "broken Cedar"),
        ({"policies": ""}, "house.policies", "no policies"),
        ({"policies": "permit (principal == ?principal, action, resource);"}, "house.policies", "templates"),
        ({"policies": 'permit (principal, action, resource) when { "'}, "house.policies", "does not end"),
        ({"policies": ANYONE + " " * 70_000}, "house.policies", "longer than"),
        ({"policies": when("context.call.tenent == 1")}, "house.policies", "do not fit their schema"),
        ({"policies": when("context.call.tenant == 1")}, "house.policies", "do not fit their schema"),
        ({"policies": 'permit (principal, action == Action::"pray", resource);'}, "house.policies", "do not fit"),
        ({"policies": when("context.call has " + "a." * 40 + "a")}, "house.policies", "names in a row"),
        ({"policies": when("context.call has " + "a //\n . " * 40 + "a")}, "house.policies", "names in a row"),
        ({"schema": SCHEMA + "type A = { b: Long };"}, "house.schema", "declares a type"),
        ({"schema": SCHEMA + "type//\nA = { b: Long };"}, "house.schema", "declares a type"),
        ({"schema": SCHEMA.replace("principal: Principal", "principal : //\n [Principal]")}, "house.schema", "a list"),
        ({"schema": SCHEMA + '"'}, "house.schema", "does not end"),
        ({"schema": "entity Principal"}, "house.schema", "broken Cedar"),
        ({"schema": SCHEMA + "type HelmCall = { tool: String };"}, "house.schema", "declares a type"),
        ({"entities": "[{]"}, "house.entities", "no exact JSON"),
        ({"entities": '[{"uid":1,"uid":2}]'}, "house.entities", "no exact JSON"),
        ({"entities": "{}"}, "house.entities", "no list"),
        ({"entities": '[{"uid":{"type":"Nobody","id":"a"},"attrs":{},"parents":[]}]'}, "house.entities", "broken"),
        (
            {"entities": '[{"uid":{"type":"Principal","id":"a"},"attrs":{"admin":true},"parents":[]}]'},
            "house.entities",
            "broken",
        ),
    ],
)
def test_what_is_not_whole_is_refused_when_it_is_loaded(changes: dict[str, str], where: str, says: str) -> None:
    with pytest.raises(Invalid) as refused:
        compile_point(**changes)
    assert (refused.value.where, says in refused.value.what) == (where, True)


def test_a_name_is_a_name_and_never_a_part_of_a_policy() -> None:
    program = compile_point('permit (principal == Principal::"mal\\"ory\\\\", action, resource);')
    assert program.permits(CALL, {}) == (True, "'policy0'")
    assert program.permits({**CALL, "principal": "mal"}, {}) == (False, "")


@pytest.mark.parametrize(
    "arguments",
    [
        {"who": {"__entity": {"type": "Principal", "id": "root"}}},
        {"inner": {"who": {"__entity": {"type": "Principal", "id": "root"}}}},
        {"from": {"__extn": {"fn": "ip", "arg": "10.0.0.1"}}},
        {"list": [{"__expr": "1"}]},
    ],
)
def test_an_argument_that_names_an_entity_is_no_argument(arguments: dict[str, Any]) -> None:
    with pytest.raises(CedarError, match="speaks of entities"):
        compile_point().permits(CALL, arguments)


@pytest.mark.parametrize(
    "arguments",
    [{"n": 1.5}, {"n": None}, {"n": "1"}, {"text": 1}, {"more": 1}, {"list": ["a"]}, {"text": {"a": "b"}}],
)
def test_arguments_that_do_not_fit_the_schema_are_an_error_and_no_word_of_them_is_repeated(
    arguments: dict[str, Any],
) -> None:
    with pytest.raises(CedarError) as refused:
        compile_point().permits(CALL, arguments)
    assert str(refused.value) == "the call does not fit the Cedar schema"


def test_a_forbid_that_fails_does_not_permit() -> None:
    failing = "forbid (principal, action, resource) when { 9223372036854775807 + context.call.spend_cents > 0 };"
    with pytest.raises(CedarError, match="1 of the policies cannot be evaluated"):
        compile_point(ANYONE + failing).permits(CALL, {})


def test_long_texts_before_many_patterns_are_not_matched_for_seconds() -> None:
    program = compile_point(
        "".join(
            when(f'context.arguments has text && context.arguments.text like "*{"a*" * 200}{i}"') for i in range(100)
        )
    )
    assert program.matching_bytes > 40_000
    with pytest.raises(CedarError, match="too long"):
        program.permits(CALL, {"text": "a" * 4_000})
    with pytest.raises(CedarError, match="too long"):
        compile_point().permits(CALL, {"text": "a" * 40_000})


def test_only_what_stands_behind_like_is_matched() -> None:
    assert matching_bytes('a like "12" && b == "345" // like "6"\n && c like "*"') == 4 + 3


def test_the_schema_must_describe_the_calls_of_each_tool_that_needs_the_point() -> None:
    text = WITH_CEDAR.replace('action "weighed"', 'action "wayed"').replace('Action::"weighed"', 'Action::"wayed"')
    with pytest.raises(Invalid, match="describes no call of weighed"):
        load_toml(text, "test policy")


def test_a_bundle_may_pin_what_was_reviewed() -> None:
    point = policy(WITH_CEDAR).points["house"]
    pinned = WITH_CEDAR.replace('kind = "cedar"', f'kind = "cedar"\ncontent_hash = "{point.content_hash}"')
    assert load_toml(pinned, "test policy").points["house"].content_hash == point.content_hash
    with pytest.raises(Invalid, match="other policies than the pinned ones") as refused:
        load_toml(pinned.replace("n < 100", "n < 101"), "test policy")
    assert refused.value.where.startswith("test policy")


def test_another_policy_has_another_hash() -> None:
    one, other = (policy(text).points["house"] for text in (WITH_CEDAR, WITH_CEDAR.replace("n < 100", "n < 101")))
    assert isinstance(one, CedarPoint)
    assert one.content_hash != other.content_hash


@pytest.mark.parametrize(
    ("n", "verdict", "code"),
    [(7, Verdict.ALLOW, ""), (100, Verdict.DENY, ReasonCode.PDP_DENY), (5_000, Verdict.DENY, ReasonCode.PDP_ERROR)],
)
def test_the_same_call_is_judged_the_same_again(n: int, verdict: Verdict, code: str) -> None:
    there = world(policy=policy(WITH_CEDAR))
    first, again = (CHAIN.evaluate(call("weighed", {"n": n}), there).decision for _ in range(2))
    assert (first.content.verdict, first.content.reason_code) == (verdict.value, code)
    assert first.hash == again.hash
    assert first.content.pdp_policy_hash == policy(WITH_CEDAR).points["house"].content_hash


def test_a_point_overrules_no_refusal() -> None:
    everything = WITH_CEDAR.replace('principals = ["*"]\ndecision_point', 'principals = ["nobody"]\ndecision_point')
    judged = CHAIN.evaluate(call("weighed", {"n": 7}), world(policy=policy(everything)))
    assert judged.decision.content.reason_code == ReasonCode.INSUFFICIENT_PRIVILEGE
    assert judged.decision.content.pdp_policy_hash == ""


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.sampled_from(["n", "text", "who", "from", "list", "inner", "other"]), JSON, max_size=4))
def test_no_arguments_end_the_engine_or_get_past_what_forbids_all(arguments: dict[str, Any]) -> None:
    program = compile_point(ANYONE + "forbid (principal, action, resource);")
    try:
        permitted, _ = program.permits(CALL, arguments)
    except (CedarError, Malformed):
        return
    assert not permitted
