"""Compliance rules: each names its calls and its demands, is explained, and is refused where nothing can comply."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from helm.contracts.errors import Invalid
from helm.contracts.reason import ReasonCode
from helm.guardian.bundle import compile_document
from helm.guardian.chain import CHAIN
from helm.guardian.delegation import Standing
from helm.guardian.explain import explain
from helm.guardian.explanation import Supposed
from helm.guardian.inquiry import Inquiry
from helm.guardian.offices import compliance as office
from helm.guardian.policy import Policy
from tests.helm.guardian.bundles import FULL, TEXT
from tests.helm.guardian.worlds import call, grant, world

COMPLIANCE = ReasonCode.COMPLIANCE_VIOLATION
JURISDICTION = ReasonCode.JURISDICTION_VIOLATION

ORDER = ["public", "internal", "confidential", "restricted"]
PLACES = [
    {"jurisdiction": "EU", "destinations": ["*.eu.example.com"], "principals": ["alice", "agent"], "tenants": ["t"]},
    {"jurisdiction": "US", "destinations": ["https://*.us.example.com", "203.0.113.0/24"], "principals": ["bob"]},
    {"jurisdiction": "UK", "destinations": ["both.eu.example.com"], "tenants": ["u"]},
]


def bundle(*rules: dict[str, Any], places: Any = PLACES, tools: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a bundle of two tools, one that keeps confidential data in the EU and one that sends it anywhere."""
    whole = {name: copy.deepcopy(FULL[name]) for name in ("version", "scope", "epoch", "connectors")}
    common = {"connector": "local", "effect_type": "read", "risk_tier": "T1", "principals": ["*"], "output": {}}
    keep = {**common, "input": {}, "data_classes": ["confidential"], "jurisdiction": "EU", "retention_days": 90}
    anywhere = {
        **common,
        "effect_type": "egress",
        "input": {"type": "object", "properties": {"to": TEXT}, "required": ["to"]},
        "data_classes": ["internal"],
        "destination": {"argument": "to"},
        "allow_destinations": ["*.example.com", "203.0.113.0/24", "203.0.114.0/24"],
    }
    whole["tools"] = {"keep": keep | (tools or {}), "send": anywhere}
    whole["compliance"] = {
        "data_class_order": ORDER,
        "allowed_data_classes": ORDER,
        "allowed_jurisdictions": ["EU"],
        "places": places,
        "rules": list(rules),
    }
    return whole


def compiled(*rules: dict[str, Any]) -> Policy:
    return compile_document(bundle(*rules))


def judged(policy: Policy, tool: str, to: str = "", **whom: str) -> tuple[str, str]:
    """Return the code and the reason of one call."""
    arguments = {"to": to} if to else {}
    decision = CHAIN.evaluate(call(tool, arguments, **whom), world(policy=policy)).decision.content  # type: ignore[arg-type]
    return decision.reason_code, decision.reason


def test_a_rule_limits_the_class_of_data_for_whom_it_names_and_for_nobody_else() -> None:
    policy = compiled({"id": "interns", "principals": ["intern-*"], "max_data_class": "internal"})
    code, reason = judged(policy, "keep", principal="intern-7")
    assert code == COMPLIANCE
    assert reason == "compliance rule interns: the data class confidential is above internal"
    assert judged(policy, "keep", principal="agent")[0] == ""
    assert judged(policy, "send", "https://a.eu.example.com", principal="intern-7")[0] == ""


def test_an_intern_does_not_get_by_its_rule_through_an_agent_that_acts_in_its_name() -> None:
    policy = compiled({"id": "interns", "principals": ["intern-*"], "max_data_class": "internal"})
    given = grant("intern-7", {"keep": ""})
    moment = world(policy=policy, delegation=Standing(ended="", grant=given, used=False))
    with pytest.raises(Exception, match="rule interns"):
        office.check(Inquiry(call("keep", {}), moment, policy.rule("keep")))


EU_ONLY = {"id": "eu-only", "data_class": "internal", "of": ["destination"], "allow_jurisdictions": ["EU"]}
NOT_US = {"id": "not-us", "of": ["destination"], "deny_jurisdictions": ["US"]}


@pytest.mark.parametrize(
    ("rule", "to", "code"),
    [
        (EU_ONLY, "https://a.eu.example.com", ""),
        (EU_ONLY, "https://a.us.example.com", JURISDICTION),
        (EU_ONLY, "https://203.0.113.9", JURISDICTION),
        (EU_ONLY, "https://elsewhere.example.com", JURISDICTION),
        (EU_ONLY, "https://both.eu.example.com", JURISDICTION),
        (NOT_US, "https://a.eu.example.com", ""),
        (NOT_US, "https://a.us.example.com", JURISDICTION),
        (NOT_US, "a.us.example.com", JURISDICTION),
        (NOT_US, "https://203.0.113.9:8443", JURISDICTION),
        (NOT_US, "https://203.0.114.9", JURISDICTION),
    ],
)
def test_data_leaves_only_for_a_jurisdiction_that_is_stated_and_allowed(rule: Any, to: str, code: str) -> None:
    assert judged(compiled(rule), "send", to)[0] == code


def test_principal_tenant_and_tool_lie_where_the_bundle_says_or_nowhere() -> None:
    of_all = {"id": "home", "tools": ["keep"], "of": ["principal", "tenant", "tool"], "allow_jurisdictions": ["EU"]}
    policy = compiled(of_all)
    assert judged(policy, "keep", principal="agent")[0] == ""
    assert judged(policy, "keep", principal="bob") == (
        JURISDICTION,
        "compliance rule home: the principal bob lies in US",
    )
    assert judged(policy, "keep", principal="stranger")[1].endswith(
        "nothing says in which jurisdiction the principal stranger lies"
    )


def test_a_rule_for_one_tenant_or_one_destination_binds_no_other() -> None:
    other = compiled({"id": "u", "tenants": ["u"], "max_data_class": "public"})
    assert judged(other, "keep")[0] == ""
    there = compiled({"id": "out", "destinations": ["*.us.example.com"], "max_data_class": "public"})
    assert judged(there, "send", "https://a.eu.example.com")[0] == ""
    assert judged(there, "send", "https://a.us.example.com")[0] == COMPLIANCE
    assert judged(there, "keep")[0] == ""


@pytest.mark.parametrize(
    ("days", "code"), [({"min": 90}, ""), ({"min": 91}, COMPLIANCE), ({"max": 90}, ""), ({"max": 89}, COMPLIANCE)]
)
def test_data_is_kept_neither_too_short_nor_too_long(days: dict[str, int], code: str) -> None:
    members = {f"{name}_retention_days": count for name, count in days.items()}
    assert judged(compiled({"id": "keep", "tools": ["keep"], **members}), "keep")[0] == code


def refusal(*rules: dict[str, Any], **members: Any) -> Invalid:
    with pytest.raises(Invalid) as caught:
        compile_document(bundle(*rules, **members))
    return caught.value


@pytest.mark.parametrize(
    ("rule", "where"),
    [
        ({}, ""),
        ({"of": ["tool"]}, ""),
        ({"of": ["tool"], "max_data_class": "internal"}, ".of"),
        ({"allow_jurisdictions": ["EU"]}, ".of"),
        ({"of": ["agent"], "allow_jurisdictions": ["EU"]}, ".of[0]"),
        ({"of": ["tenant"], "allow_jurisdictions": ["EU"], "deny_jurisdictions": ["EU"]}, ".deny_jurisdictions"),
        ({"of": ["tenant"], "deny_jurisdictions": ["USA"]}, ".deny_jurisdictions"),
        ({"min_retention_days": 9, "max_retention_days": 8}, ".max_retention_days"),
        ({"max_data_class": "secret"}, ".max_data_class"),
        ({"data_class": "secret", "max_retention_days": 8}, ".data_class"),
        ({"data_class": "restricted", "max_data_class": "internal"}, ".max_data_class"),
        ({"tools": ["nothing"], "max_data_class": "internal"}, ".tools"),
        ({"data_class": "restricted", "of": ["tenant"], "allow_jurisdictions": ["EU"]}, ".tools"),
        ({"principals": [], "max_data_class": "internal"}, ".principals"),
        ({"max_dataclass": "internal"}, ".max_dataclass"),
    ],
)
def test_a_rule_that_demands_nothing_or_what_nothing_satisfies_is_refused_at_load(rule: Any, where: str) -> None:
    assert refusal({"id": "r", **rule}).where == f"compliance.rules[0]{where}"


def test_a_rule_about_places_in_a_bundle_without_any_is_never_answered_with_an_empty_list() -> None:
    whole = bundle({"id": "r", "of": ["tenant"], "deny_jurisdictions": ["US"]}, places=[])
    del whole["tools"]["keep"]
    with pytest.raises(Invalid) as caught:
        compile_document(whole)
    assert (caught.value.what, caught.value.hint.startswith("leave it out")) == ("nothing lies in US", True)


def test_two_rules_that_leave_a_tool_no_way_to_comply_are_refused_together() -> None:
    long = {"id": "long", "tools": ["keep"], "min_retention_days": 365}
    short = {"id": "short", "tools": ["keep"], "max_retention_days": 30}
    assert "long and short ask for 365 days at least and 30 at most" in refusal(long, short).what
    only = {"of": ["tool"], "tools": ["keep"]}
    here = {"id": "here", **only, "allow_jurisdictions": ["EU", "US"]}
    there = {"id": "there", **only, "allow_jurisdictions": ["US", "UK"]}
    not_us = {"id": "not-us", **only, "deny_jurisdictions": ["US"]}
    compile_document(bundle(here, there))
    assert "here, there, not-us leave no jurisdiction for the tool" in refusal(here, there, not_us).what
    compile_document(bundle(here, there, {**not_us, "principals": ["bob"]}))


def test_what_a_rule_asks_for_the_tool_must_say() -> None:
    assert refusal({"id": "r", "max_retention_days": 30}).where == "tools.send.retention_days"
    lies = {"id": "r", "of": ["tool"], "allow_jurisdictions": ["EU"]}
    assert refusal(lies).where == "tools.send.jurisdiction"


def test_a_class_outside_the_order_is_refused_wherever_it_stands() -> None:
    assert refusal(tools={"data_classes": ["secret"]}).where == "tools.keep.data_classes"
    whole = bundle()
    whole["principals"] = {"p": {"data_classes": ["secret"]}}
    with pytest.raises(Invalid, match="no place in the order"):
        compile_document(whole)
    whole = bundle({"id": "r", "max_data_class": "internal"})
    del whole["compliance"]["data_class_order"]
    with pytest.raises(Invalid, match="without an order"):
        compile_document(whole)


def test_without_an_order_a_class_is_itself_and_nothing_above_it() -> None:
    whole = bundle({"id": "r", "data_class": "confidential", "of": ["tenant"], "deny_jurisdictions": ["EU"]})
    del whole["compliance"]["data_class_order"]
    policy = compile_document(whole)
    assert (judged(policy, "keep")[0], judged(policy, "send", "https://a.eu.example.com")[0]) == (JURISDICTION, "")


def test_a_place_in_which_nothing_lies_and_a_rule_that_stands_twice_are_refused() -> None:
    assert refusal(places=[{"jurisdiction": "EU"}]).where == "compliance.places[0]"
    assert refusal(NOT_US, NOT_US).where == "compliance.rules[1].id"


def test_each_rule_is_explained_and_stays_open_where_it_depends_on_what_is_not_known() -> None:
    interns = {"id": "interns", "principals": ["intern-*"], "max_data_class": "internal"}
    home = {"id": "home", "of": ["tenant"], "deny_jurisdictions": ["UK"]}
    policy = compiled(interns, home, EU_ONLY, {"id": "kept", "tools": ["keep"], "max_retention_days": 30})

    def rows(tool: str, principal: str = "", tenant: str = "") -> list[str]:
        told = explain(policy, tool, principal, Supposed(tenant=tenant))
        return [f"{row.what} -> {row.outcome}" for row in told if row.what.startswith("rule ")]

    kept = "the tool keeps its data 90 days, at most 30 are allowed"
    assert rows("keep") == [
        "rule interns: no data above internal, for some principals -> per call",
        "rule home: tenant not in UK -> per call",
        "rule eu-only: destination only in EU -> PASS",
        f"rule kept: kept at most 30 days: {kept} -> DENY COMPLIANCE_VIOLATION",
    ]
    known = rows("keep", "intern-7", "u")
    assert known[0].endswith("the data class confidential is above internal -> DENY COMPLIANCE_VIOLATION")
    assert known[1].endswith("the tenant u lies in UK -> DENY JURISDICTION_VIOLATION")
    assert rows("keep", "agent", "t")[:2] == [
        "rule interns: no data above internal, for some principals: not for this call -> PASS",
        "rule home: tenant not in UK -> PASS",
    ]
    assert rows("send")[-1] == "rule eu-only: destination only in EU -> per call"
