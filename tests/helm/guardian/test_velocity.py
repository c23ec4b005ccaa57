"""Velocity counts the calls of the last seconds, in whatever order it hears of them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from helm.guardian.velocity import KEPT, Velocity

WHO = ("t", "p", "tool")


def test_a_call_counts_until_its_window_has_passed() -> None:
    velocity = Velocity()
    velocity.note(WHO, 1_000)
    assert [velocity.count(WHO, now_ms, 60) for now_ms in (1_000, 60_999, 61_000)] == [1, 1, 0]


def test_everyone_is_counted_alone() -> None:
    velocity = Velocity()
    velocity.note(WHO, 1_000)
    assert velocity.count(("t", "q", "tool"), 1_000, 60) == 0
    assert velocity.count(("u", "p", "tool"), 1_000, 60) == 0
    assert velocity.count(("t", "p", "other"), 1_000, 60) == 0


def test_a_clock_that_is_set_back_forgets_nobody() -> None:
    velocity = Velocity()
    velocity.note(WHO, 100_000)
    assert velocity.count(WHO, 1_000, 60) == 1


def test_memory_is_bounded_and_keeps_the_latest() -> None:
    velocity = Velocity()
    for now_ms in range(KEPT + 100):
        velocity.note(WHO, now_ms)
    velocity.note(WHO, 50)  # a late one: older than what is kept
    assert velocity.count(WHO, KEPT + 100, 86_400) == KEPT
    assert velocity.times_ms[WHO][0] == 100


@given(st.lists(st.integers(0, 10_000), max_size=50), st.integers(0, 12_000), st.integers(1, 10))
def test_the_order_in_which_calls_are_noted_does_not_matter(times: list[int], now_ms: int, window_s: int) -> None:
    in_order, as_they_came = Velocity(), Velocity()
    for each in sorted(times):
        in_order.note(WHO, each)
    for each in times:
        as_they_came.note(WHO, each)
    expected = sum(each > now_ms - window_s * 1000 for each in times)
    assert in_order.count(WHO, now_ms, window_s) == as_they_came.count(WHO, now_ms, window_s) == expected
