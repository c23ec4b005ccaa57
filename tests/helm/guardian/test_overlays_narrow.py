"""No sequence of overlays ever allows what the bundle denied, whatever they say, in whatever order, for whomever."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helm.contracts.errors import Invalid
from helm.contracts.verdict import Verdict
from helm.crypto.canonical import canonical
from helm.guardian.bundle import compile_document
from helm.guardian.bundle_overlay import compile_overlay
from helm.guardian.ceilings import ceilings_of, joined
from helm.guardian.ceremony import APPROVED
from helm.guardian.chain import CHAIN
from helm.guardian.destination import Pattern, normalise
from helm.guardian.judgement import Judgement
from helm.guardian.layers import Layers
from helm.guardian.overlay import Overlay
from helm.guardian.policy import Policy
from helm.guardian.velocity import Pace
from helm.guardian.world import Sought
from tests.helm.guardian.bundles import document
from tests.helm.guardian.worlds import call, world

MONDAY_MS = 1_790_000_000_000
"""A Monday, 14:13 UTC."""
CAROL = {"carol": {"keys": ["key_" + "d" * 32]}}
WHOLE = document(approvers=document()["approvers"] | CAROL)
WHOLE["tools"]["pay"]["approval"] |= {"approvers": ["alice", "bob", "carol"], "quorum": 1}
BUNDLE = compile_document(WHOLE)

Members = dict[str, Any]

SITES = ("https://bank.example.com", "*.bank.example.com", "https://x.bank.example.com")
CONDITIONS = ("args.cents < 500", "args.cents > 1", "risk_tier == 'T3'", "risk_tier == 'T2'", "true")
NUMBERS = st.sampled_from((0, 1, 3, 250, 900))


def few(values: Any, most: int = 2) -> st.SearchStrategy[list[Any]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True)


REQUIRES = few(CONDITIONS).map(lambda texts: [{"id": f"r{n}", "cel": text} for n, text in enumerate(texts)])
APPROVALS = st.fixed_dictionaries(
    {"required": st.booleans()},
    optional={
        "quorum": st.integers(1, 3),
        "timelock_s": st.sampled_from((60, 120)),
        "expires_s": st.sampled_from((300, 600)),
        "max_per_hour": st.integers(1, 5),
        "approvers": few(("alice", "bob", "carol"), 3),
    },
)
BUDGETS = st.one_of(
    st.fixed_dictionaries({"id": st.sampled_from(("everyone", "one")), "tool_call_limit": st.sampled_from((1, 3, 50))}),
    st.fixed_dictionaries({"id": st.sampled_from(("acme", "p0")), "spend_limit_cents": NUMBERS}),
    st.fixed_dictionaries({"id": st.just("paying"), "approval_required_above_cents": NUMBERS}),
    st.fixed_dictionaries(
        {"id": st.just("new"), "subject": st.just("*"), "window_s": st.just(60), "tool_call_limit": NUMBERS}
    ),
)
WIDE: Any = st.sampled_from(
    (
        {"tools": {"pay": {"principals": ["*"]}}},
        {"tools": {"pay": {"risk_tier": "T0"}}},
        {"tools": {"pay": {"approval": {"quorum": 0}}}},
        {"tools": {"pay": {"allow_destinations": ["*.com"]}}},
        {"budgets": [{"id": "one", "tool_call_limit": 1_000}]},
    )
)


def of_pay(**members: Any) -> Any:
    return st.fixed_dictionaries({"tools": st.fixed_dictionaries({"pay": st.fixed_dictionaries(members)})})


FACETS = st.one_of(
    of_pay(requires=REQUIRES),
    of_pay(approval=APPROVALS),
    of_pay(risk_tier=st.sampled_from(("T2", "T3"))),
    of_pay(allow_destinations=few(SITES)),
    of_pay(deny_destinations=few(SITES)),
    BUDGETS.map(lambda budget: {"budgets": [budget]}),
    st.just({"remove_tools": ["pay"]}),
    WIDE,
)
WHOM = st.sampled_from(({}, {}, {"principals": ["agent-1"]}, {"principals": ["clerk-9"]}, {"tenants": ["acme"]}))
STEPS = st.lists(
    st.tuples(st.sampled_from(("one", "two", "three")), st.one_of(st.tuples(WHOM, FACETS), st.none())),
    min_size=1,
    max_size=6,
)
CALLS: list[tuple[Members, tuple[int, int, int]]] = [
    ({"tenant": tenant, "arguments": {"iban": iban, "cents": cents}}, used)
    for tenant in ("acme", "other")
    for iban, cents in (("DE1", 1), ("DE1", 400), ("DE1", 2_000), ("DE1", 20_000), ("FR1", 1))
    for used in ((0, 0, 0), (2, 650, 0), (0, 651, 0), (49, 0, 0), (0, 0, 9), (3, 0, 0))
]
"""Calls on both sides of everything that the bundle asks of `pay`, and what was used before them."""


Steps = list[tuple[str, tuple[Members, Members] | None]]


def after(steps: Steps, held: bool) -> Layers:
    """Return what a sequence of overlays comes to: what is refused changes nothing."""
    own = ceilings_of(document()["p0"])
    ceilings = joined(ceilings_of({"max_risk_tier": "T2", "window_s": 3_600, "spend_cents_per_window": 300}), own)
    in_force: dict[str, Overlay] = {}
    layers = Layers(BUNDLE, ceilings if held else None, ())
    for epoch, (name, members) in enumerate(steps, 1):
        changed = {other: one for other, one in in_force.items() if other != name}
        try:
            if members is not None:
                head = {"version": "helm.overlay/1", "id": name, "epoch": epoch, "narrows": BUNDLE.policy_hash}
                changed[name] = compile_overlay(canonical(head | members[0] | members[1]), BUNDLE)
            ordered = tuple(changed[other] for other in sorted(changed))
            layers = Layers(BUNDLE, layers.held, ordered)
        except Invalid as refusal:
            assert refusal.where
            continue
        in_force = changed
    return layers


def judged(policy_: Policy, said: dict[str, Any], used: tuple[int, int, int], *, approved: bool) -> Judgement:
    """Judge a call of `pay` under one policy; where it is approved, with an approval of this very world."""
    one = call("pay", said["arguments"], principal="agent-1").but(tenant=said["tenant"])
    moment = world(
        policy=policy_,
        now_ms=MONDAY_MS,
        budgets=tuple(
            (account, MONDAY_MS - MONDAY_MS % (budget.window_s * 1000), *used, 0)
            for account, budget in policy_.budgets_for(one.tenant, one.principal, one.tool)
        ),
        velocity=tuple(Pace(rule.id, "account", 0, used[2], "", 0) for rule in policy_.rule("pay").velocity),
    )
    first = CHAIN.evaluate(one, moment)
    if not approved or first.decision.content.verdict != Verdict.ESCALATE:
        return first
    decision = first.decision.content
    sought = Sought(
        approval_id=decision.approval_id,
        expires_at_ms=decision.approval_expires_at_ms,
        intent_hash=decision.intent_hash,
        p0_ceiling_hash=decision.p0_ceiling_hash,
        policy_hash=decision.policy_hash,
        state=APPROVED,
        unlocked=True,
    )
    return CHAIN.evaluate(one.but(approval_id=decision.approval_id), moment.but(approval=sought))


PLAIN = [[judged(BUNDLE, *one, approved=approved).decision.content for one in CALLS] for approved in (False, True)]


@settings(max_examples=150)
@given(steps=STEPS, held=st.booleans(), delegator=st.sampled_from(("", "clerk-9")))
def test_no_sequence_of_overlays_ever_allows_what_the_bundle_denied(steps: Steps, held: bool, delegator: str) -> None:
    layers = after(steps, held)
    for approved in (False, True):
        for one, plain in zip(CALLS, PLAIN[approved], strict=True):
            left = layers.of(one[0]["tenant"], "agent-1", delegator)
            under = judged(left, *one, approved=approved).decision.content
            if under.verdict == Verdict.ALLOW:
                assert plain.verdict == Verdict.ALLOW
                assert plain.risk_tier <= under.risk_tier
            if under.verdict == plain.verdict == Verdict.ESCALATE:
                assert plain.approval_quorum <= under.approval_quorum
                assert plain.approval_timelock_until_ms <= under.approval_timelock_until_ms
                assert plain.approval_expires_at_ms >= under.approval_expires_at_ms
                assert {*under.approval_approvers} <= {*plain.approval_approvers, "nobody -"}


def test_the_property_is_not_empty_some_calls_are_allowed_with_overlays_and_some_no_more() -> None:
    layers = after(
        [("one", ({}, {"tools": {"pay": {"requires": [{"id": "x", "cel": "args.cents > 1"}]}}}))], held=False
    )
    found = [judged(layers.everyone, *one, approved=False).decision.content.verdict for one in CALLS]
    assert found.count(Verdict.ALLOW) > 3
    assert found.count(Verdict.ALLOW) < [one.verdict for one in PLAIN[False]].count(Verdict.ALLOW)


PATTERNS = st.sampled_from(
    (
        "example.com",
        "*.example.com",
        "a.example.com",
        "*.a.example.com",
        "https://a.example.com",
        "http://*.example.com",
        "a.example.com:8443",
        "10.0.0.0/8",
        "10.1.0.0/16",
        "10.1.2.3",
        "https://10.1.2.3",
        "2001:db8::/32",
        "https://[2001:db8::1]",
        "11.0.0.1",
    )
)
PLACES = st.sampled_from(
    (
        "example.com",
        "a.example.com",
        "https://a.example.com",
        "https://b.a.example.com",
        "http://a.example.com:8443",
        "10.1.2.3",
        "https://10.1.2.3",
        "https://10.9.9.9",
        "https://[2001:db8::1]",
        "11.0.0.1",
        "aexample.com",
    )
)


@given(one=PATTERNS, other=PATTERNS, place=PLACES)
def test_where_two_patterns_meet_is_exactly_what_both_match(one: str, other: str, place: str) -> None:
    first, second, destination = Pattern.parse(one), Pattern.parse(other), normalise(place)
    both = first.meets(second)
    matched = first.matches(destination) and second.matches(destination)
    assert (both is not None and both.matches(destination)) == matched


def test_more_classes_than_there_may_be_are_refused() -> None:
    head = {"version": "helm.overlay/1", "epoch": 1, "narrows": BUNDLE.policy_hash, "remove_tools": ["pay"]}
    whom = {"principals": [f"p{n}" for n in range(100)], "tenants": [f"t{n}" for n in range(100)]}
    one = compile_overlay(canonical(head | whom | {"id": "one"}), BUNDLE)
    with pytest.raises(Invalid, match="more than 4096"):
        Layers(BUNDLE, None, (one,))


def head_of(name: str, bundle: Policy = BUNDLE) -> Members:
    return {"version": "helm.overlay/1", "id": name, "epoch": 1, "narrows": bundle.policy_hash}


@pytest.mark.parametrize("required", [True, False])
def test_an_overlay_about_an_approval_does_not_take_the_role_from_its_approvers(required: bool) -> None:
    whole = document()
    whole["tools"]["pay"]["approval"] |= {"role": "payments"}
    bundle = compile_document(whole)
    approval = {"required": required, "timelock_s": 120}
    one = compile_overlay(canonical(head_of("one", bundle) | {"tools": {"pay": {"approval": approval}}}), bundle)
    left = Layers(bundle, None, (one,)).everyone.rule("pay").approval
    assert left is not None
    assert (left.timelock_s, left.role) == (120, "payments")


def test_two_overlays_for_different_callers_cannot_count_two_windows_in_one_account() -> None:
    hour = {"id": "shared", "subject": "*", "window_s": 3_600, "tool_call_limit": 5}
    for other in (hour | {"window_s": 60}, hour):
        overlays = [
            compile_overlay(canonical(head_of(name) | {"principals": [whom], "budgets": [budget]}), BUNDLE)
            for name, whom, budget in (("one", "agent-1", hour), ("two", "clerk-9", other))
        ]
        with pytest.raises(Invalid, match="the budget shared stands in two of one and two"):
            Layers(BUNDLE, None, tuple(overlays))
