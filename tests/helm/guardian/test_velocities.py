"""The counters of a velocity rule count what a plain list would: in bounded room, in any order, never backwards."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm.contracts.call import ToolCall
from helm.contracts.errors import Invalid
from helm.guardian.glob import names_of
from helm.guardian.velocities import KEPT, Velocities
from helm.guardian.velocity import MAX_SESSIONS, Level, Pace, Scope, Tick, VelocityRule, level_of, tick_of
from tests.helm.guardian.worlds import call


def rule(per: str = "principal", **members: int) -> VelocityRule:
    """Return a rule of 10 s: watched above 1, throttled above 3, interrupted above 6."""
    given = {"window_s": 10, "observe_above": 1, "throttle_above": 3, "interrupt_above": 6, "cool_down_s": 0} | members
    return VelocityRule(id="r", per=Scope(per), tools=names_of(["*"], ""), **given)


class Counted:
    """One rule's counters, and the levels at which calls came."""

    def __init__(self, one: VelocityRule) -> None:
        self.rule, self.velocities = one, Velocities()
        self.ticks: list[Tick] = []

    def pace(self, at_ms: int, asked: ToolCall | None = None) -> Pace:
        return self.velocities.paces((self.rule,), asked or call(), "", at_ms)[0]

    def come(self, at_ms: int, asked: ToolCall | None = None) -> Level:
        """Let one call come, and return its level."""
        pace = self.pace(at_ms, asked)
        if pace.account:
            self.ticks.append(tick_of(self.rule, pace))
            self.velocities.note(self.ticks[-1:])
        return level_of(self.rule, pace)


@given(
    steps=st.lists(st.tuples(st.integers(-3_000, 9_000), st.sampled_from("ab")), max_size=80),
    cool_down_s=st.sampled_from([0, 4, 25]),
)
def test_it_counts_what_a_plain_list_of_all_calls_would(steps: list[tuple[int, str]], cool_down_s: int) -> None:
    counted, clock_ms, now_ms = Counted(rule(cool_down_s=cool_down_s)), 1_000_000, 0
    past: list[tuple[str, int, Level]] = []
    for step_ms, principal in steps:
        clock_ms += step_ms
        now_ms = max(now_ms, clock_ms)
        calls = sum(who == principal and at_ms > now_ms - 10_000 for who, at_ms, _ in past)
        reached = counted.rule.reached(calls)
        since_ms = now_ms - cool_down_s * 1000
        held = [level for who, at_ms, level in past if who == principal and at_ms > since_ms and cool_down_s]
        levels = list(Level)
        lasting = [levels.index(level) for level in held if level in (Level.THROTTLE, Level.INTERRUPT)]
        expected = levels[max([levels.index(reached), *lasting])]
        assert counted.come(clock_ms, call(principal=principal)) is expected
        past.append((principal, now_ms, reached))


@given(
    steps=st.lists(st.integers(0, 9_000), min_size=3, max_size=40),
    cool_down_s=st.sampled_from([0, 4, 25]),
    throttle_above=st.integers(1, 5),
)
def test_whoever_is_told_when_to_come_again_passes_then_and_not_before(
    steps: list[int], cool_down_s: int, throttle_above: int
) -> None:
    one = rule(observe_above=0, throttle_above=throttle_above, interrupt_above=0, cool_down_s=cool_down_s)
    counted, at_ms = Counted(one), 1_000_000
    for step_ms in steps:
        at_ms += step_ms
        pace = counted.pace(at_ms)
        assert (pace.clear_ms > 0) == (counted.come(at_ms) is Level.THROTTLE)
        if pace.clear_ms:
            waits = [level_of(one, counted.pace(when_ms)) for when_ms in (pace.clear_ms - 1, pace.clear_ms)]
            assert waits == [Level.THROTTLE, Level.NONE]


@given(st.integers(0, 2**32))
def test_the_same_counters_come_of_any_order_in_the_journal(seed: int) -> None:
    luck, counted = random.Random(seed), Counted(rule(cool_down_s=30))
    at_ms = 1_000_000
    for _ in range(100):
        at_ms += luck.choice((0, 1, 500, 9_999, 10_000, 45_000))
        counted.come(at_ms, call(principal=luck.choice("ab")))
    folded = Velocities()
    folded.note(luck.sample(counted.ticks, len(counted.ticks)))
    assert folded == counted.velocities


def test_a_burst_does_not_fit_between_two_windows() -> None:
    counted = Counted(rule())
    assert [counted.come(19_999) for _ in range(3)][-1] is Level.OBSERVE
    assert counted.come(20_000) is Level.THROTTLE  # a fixed window would begin anew
    assert counted.come(29_998) is Level.THROTTLE
    assert counted.come(29_999) is Level.OBSERVE  # those at 20,000 and 29,998 are left


def test_a_clock_set_back_wins_nothing() -> None:
    counted = Counted(rule())
    for _ in range(3):
        counted.come(1_000_000)
    assert counted.come(10_000) is Level.THROTTLE
    assert counted.pace(0).at_ms == 1_000_000
    assert counted.come(1_010_001) is Level.NONE


def test_whoever_hammers_at_a_throttle_climbs_until_a_human_is_needed() -> None:
    counted = Counted(rule())
    levels = [counted.come(1_000_000 + ms) for ms in range(8)]
    assert levels == [
        *(Level.NONE, Level.OBSERVE, Level.OBSERVE),
        *(Level.THROTTLE, Level.THROTTLE, Level.THROTTLE, Level.INTERRUPT, Level.INTERRUPT),
    ]


def test_a_cool_down_holds_a_level_after_the_window_has_passed_and_only_so_long() -> None:
    counted = Counted(rule(window_s=10, cool_down_s=60))
    for _ in range(4):
        counted.come(1_000_000)
    assert counted.come(1_030_000) is Level.THROTTLE  # held, and not reached anew:
    assert counted.come(1_059_999) is Level.THROTTLE
    assert counted.come(1_060_000) is Level.OBSERVE


def test_a_session_has_its_own_count_and_a_stranger_in_it_slows_nobody_down() -> None:
    counted = Counted(rule("session"))
    for _ in range(4):
        counted.come(1_000_000, call(session="s", principal="thief"))
    assert counted.come(1_000_000, call(session="s", principal="owner")) is Level.NONE
    assert counted.come(1_000_000, call(session="t", principal="thief")) is Level.NONE


def test_many_principals_of_one_tenant_are_one_where_the_rule_says_so() -> None:
    counted = Counted(rule("tenant"))
    levels = [counted.come(1_000_000, call(principal=f"p{number}")) for number in range(4)]
    assert levels[-1] is Level.THROTTLE


def test_a_rule_of_another_window_starts_with_new_counters() -> None:
    counted = Counted(rule())
    counted.come(1_000_000)
    counted.rule = rule(window_s=20)
    assert counted.pace(1_000_000).calls == 0


def test_one_principal_cannot_fill_the_memory_with_its_sessions() -> None:
    counted = Counted(rule("session", window_s=3600))
    for number in range(MAX_SESSIONS):
        counted.come(1, call(session=f"s{number}"))
    assert counted.pace(2, call(session="one-more")).account == ""
    assert counted.pace(2, call(session="s7")).calls == 1
    assert counted.pace(2, call(session="one-more", principal="other")).account
    assert counted.pace(3_600_000, call(session="one-more")).account  # the next span has room again


def test_an_account_keeps_no_more_calls_than_any_threshold_asks_for_and_a_silent_one_none() -> None:
    counted = Counted(rule(window_s=1))
    for at_ms in range(KEPT + 100):
        counted.come(at_ms // 100)
    counters = counted.velocities.by_clock["r", 1, 0]
    assert len(counters.times.young["t"]["t agent"]) == KEPT
    counted.come(10_000, call(principal="other"))
    assert list(counters.times.find("t agent")) == []


@pytest.mark.parametrize("clock", [(0, 0), (-1, 0), (60, -1)])
def test_a_decision_that_no_rule_could_have_counted_does_not_fold(clock: tuple[int, int]) -> None:
    with pytest.raises(Invalid):
        Velocities().note([("r", *clock, "t p", 1, "", 0)])
