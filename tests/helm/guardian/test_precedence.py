"""Ceilings in force: no sequence of bundles, hours and cancellations raises one before it was stated long enough."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helm.contracts.errors import Invalid
from helm.crypto import domains
from helm.crypto.canonical import canonical, parse
from helm.crypto.hashing import hash_in
from helm.guardian.ceilings import ceilings_of, joined, read_ceilings
from helm.guardian.precedence import Precedence, RaiseCancel, Stated

P0 = st.fixed_dictionaries(
    {},
    optional={
        "max_risk_tier": st.sampled_from(("T0", "T1", "T2", "T3")),
        "denied_tools": st.lists(st.sampled_from(("a", "b.*", "c")), max_size=2, unique=True),
        "denied_effect_types": st.lists(st.sampled_from(("delete", "payment")), max_size=2, unique=True),
        "denied_destinations": st.lists(st.sampled_from(("10.0.0.0/8", "*.example.com")), max_size=2, unique=True),
        "increase_timelock_s": st.sampled_from((60, 600, 86_400)),
    },
)
BUDGET = st.fixed_dictionaries(
    {"window_s": st.sampled_from((60, 3_600)), "tool_calls_per_window": st.integers(0, 3)},
    optional={"spend_cents_per_window": st.integers(0, 3)},
)
TABLES = st.builds(lambda p0, budget: {**p0, **(budget or {})}, P0, st.none() | BUDGET)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("activate"), TABLES),
        st.tuples(st.just("pass"), st.sampled_from((1, 59, 60, 599, 600, 86_400))),
        st.tuples(st.just("cancel"), st.none()),
    ),
    max_size=12,
)


def stated(p0: dict[str, Any], epoch: int) -> Stated:
    return Stated(
        policy_hash=f"sha256:{epoch:064x}",
        p0_ceiling_hash=hash_in(domains.P0, canonical(p0)),
        ceilings=ceilings_of(p0),
    )


def cancel_of(precedence: Precedence) -> RaiseCancel:
    assert precedence.stated is not None
    return RaiseCancel(
        due_at_ms=precedence.due_at_ms,
        issued_at_ms=0,
        key_id="key",
        log_id="log",
        p0_ceiling_hash=precedence.stated.p0_ceiling_hash,
        reason="no",
    )


@given(one=TABLES, other=TABLES)
def test_joined_ceilings_raise_none_of_either(one: dict[str, Any], other: dict[str, Any]) -> None:
    first, second = ceilings_of(one), ceilings_of(other)
    both = joined(first, second)
    assert both.within(first)
    assert both.within(second)
    assert joined(second, first).limits() == both.limits()
    assert first.within(first)


@given(one=TABLES, other=TABLES)
def test_held_ceilings_are_read_back_as_they_were(one: dict[str, Any], other: dict[str, Any]) -> None:
    both = joined(ceilings_of(one), ceilings_of(other))
    assert read_ceilings(parse(canonical(both.document()))) == both


@settings(max_examples=300)
@given(steps=STEPS)
def test_no_ceiling_is_raised_before_it_was_stated_for_the_timelock_that_was_in_force_then(
    steps: list[tuple[str, Any]],
) -> None:
    precedence, now_ms, since_ms, lock_s = Precedence(), 1_000_000, 0, 0
    for epoch, (what, said) in enumerate(steps, 1):
        before = precedence
        if what == "activate":
            same = before.stated is not None and before.stated.p0_ceiling_hash == stated(said, epoch).p0_ceiling_hash
            precedence = precedence.activated(stated(said, epoch), now_ms)
            if before.in_force is not None and not (same and before.due_at_ms):
                since_ms, lock_s = now_ms, before.in_force.increase_timelock_s
        elif what == "cancel" and precedence.due_at_ms:
            precedence = precedence.cancelled(cancel_of(precedence))
        elif what == "pass":
            now_ms += said * 1000
            try:
                precedence = precedence.raised(now_ms)
            except Invalid:
                assert not precedence.due_at_ms or now_ms < precedence.due_at_ms
        if before.in_force is None or precedence.in_force is None:
            continue
        if not precedence.in_force.within(before.in_force):
            assert what == "pass"
            assert now_ms - since_ms >= lock_s * 1000
            assert precedence.held is None
        assert precedence.stated is not None
        assert precedence.in_force.within(precedence.stated.ceilings)


def test_a_raise_that_does_not_wait_cannot_be_passed_or_given_up() -> None:
    precedence = Precedence().activated(stated({}, 1), 0)
    with pytest.raises(Invalid, match="no raise"):
        precedence.raised(10**15)
    with pytest.raises(Invalid, match="another raise"):
        precedence.cancelled(cancel_of(precedence))


def test_windows_of_hard_budgets_are_bounded() -> None:
    precedence = Precedence().activated(stated({"window_s": 1, "tool_calls_per_window": 1}, 1), 0)
    with pytest.raises(Invalid, match="more than 8 windows"):
        for epoch in range(2, 20):
            p0 = {"window_s": epoch, "tool_calls_per_window": 1}
            precedence = precedence.activated(stated(p0, epoch), 0)
