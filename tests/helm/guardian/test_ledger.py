"""The ledger counts each window on its own and gives back only what it took."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from helm.guardian.ledger import Ledger
from tests.helm.guardian.worlds import NOON_MS, call, policy

HOUR_MS = 3_600_000
WINDOW_MS = NOON_MS - NOON_MS % HOUR_MS


def standing(ledger: Ledger, tool: str, now_ms: int, principal: str = "agent") -> list[tuple[object, ...]]:
    return [*ledger.standing(policy(), call(tool, principal=principal), now_ms)]


def test_a_window_begins_empty_and_is_aligned() -> None:
    ledger = Ledger()
    assert standing(ledger, "pay", NOON_MS) == [("spend", WINDOW_MS, 0, 0, 0, 0)]
    ledger.reserve([("spend", WINDOW_MS, 1, 10, 1, 0)])
    ledger.reserve([("spend", WINDOW_MS, 1, 10, 1, 0)])
    assert standing(ledger, "pay", WINDOW_MS + HOUR_MS - 1) == [("spend", WINDOW_MS, 2, 20, 2, 0)]
    assert standing(ledger, "pay", WINDOW_MS + HOUR_MS) == [("spend", WINDOW_MS + HOUR_MS, 0, 0, 0, 0)]


def test_no_budget_binds_a_call_that_none_names() -> None:
    assert standing(Ledger(), "read", NOON_MS) == []
    assert standing(Ledger(), "read", NOON_MS, "scribe") == [("writes/t scribe", WINDOW_MS, 0, 0, 0, 0)]


def test_what_is_given_back_from_a_window_that_is_over_is_left_alone() -> None:
    ledger = Ledger()
    ledger.reserve([("spend", WINDOW_MS, 1, 10, 1, 0)])
    ledger.reserve([("spend", WINDOW_MS + HOUR_MS, 1, 10, 1, 0)])
    ledger.release([("spend", WINDOW_MS, 1, 10, 1, 0)])
    assert ledger.accounts["spend"] == ("spend", WINDOW_MS + HOUR_MS, 1, 10, 1, 0)


def test_a_clock_that_is_set_back_opens_no_second_window() -> None:
    ledger = Ledger()
    ledger.reserve([("spend", WINDOW_MS, 1, 1000, 1, 0)])
    assert standing(ledger, "pay", NOON_MS - 5 * HOUR_MS) == [("spend", WINDOW_MS, 1, 1000, 1, 0)]


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 100)), max_size=20), st.randoms())
def test_giving_everything_back_leaves_nothing_spent(taken: list[tuple[int, int]], luck: object) -> None:
    ledger = Ledger()
    usages = [("b", WINDOW_MS, 1, cents, writes, cents) for writes, cents in taken]
    ledger.reserve(usages)
    shuffled = sorted(usages, key=lambda usage: luck.random())  # type: ignore[attr-defined]
    ledger.release(shuffled)
    assert ledger.accounts.get("b", ("b", WINDOW_MS, 0, 0, 0, 0)) == ("b", WINDOW_MS, 0, 0, 0, 0)
