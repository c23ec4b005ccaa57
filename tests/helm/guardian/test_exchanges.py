"""Exchanges with a model: counted per session, timed from the first, paid for by the day."""

from __future__ import annotations

import pytest

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.exchanges import DAY_MS, Ceilings, Exchanges

NOON = 20_000 * DAY_MS + DAY_MS // 2
FIRST, SECOND = ("t", "first"), ("t", "second")


def refused(of: Exchanges, ceilings: Ceilings, *, now_ms: int = NOON, reserved: int = 0) -> ReasonCode:
    with pytest.raises(Refused) as refusal:
        of.check(FIRST, "agent", now_ms, reserved, ceilings)
    return refusal.value.code


def test_without_ceilings_everything_goes() -> None:
    found = Exchanges()
    for _ in range(100):
        found.begin(FIRST, "agent", NOON, 10**9)
    found.check(FIRST, "agent", NOON + 10**9, 10**12, Ceilings())


def test_the_last_exchange_of_a_session_is_the_one_that_reaches_the_ceiling() -> None:
    found, ceilings = Exchanges(), Ceilings(iterations=2)
    for _ in range(2):
        found.check(FIRST, "agent", NOON, 0, ceilings)
        found.begin(FIRST, "agent", NOON, 0)
    assert refused(found, ceilings) is ReasonCode.PROXY_ITERATION_LIMIT
    found.check(SECOND, "agent", NOON, 0, ceilings)
    found.check(("u", "first"), "agent", NOON, 0, ceilings)


def test_time_runs_from_the_first_exchange() -> None:
    found, ceilings = Exchanges(), Ceilings(wall_ms=1000)
    found.check(FIRST, "agent", NOON, 0, ceilings)
    found.begin(FIRST, "agent", NOON, 0)
    found.begin(FIRST, "agent", NOON + 999, 0)
    found.check(FIRST, "agent", NOON + 999, 0, ceilings)
    assert refused(found, ceilings, now_ms=NOON + 1000) is ReasonCode.PROXY_WALLCLOCK_LIMIT


def test_money_is_one_principals_in_all_of_its_sessions() -> None:
    found, ceilings = Exchanges(), Ceilings(spend_microcents=100)
    found.begin(SECOND, "agent", NOON, 60)
    found.check(FIRST, "agent", NOON, 40, ceilings)
    assert refused(found, ceilings, reserved=41) is ReasonCode.BUDGET_EXCEEDED
    found.check(FIRST, "another", NOON, 100, ceilings)
    found.check(("u", "first"), "agent", NOON, 100, ceilings)


def test_what_was_used_takes_the_place_of_what_was_reserved() -> None:
    found = Exchanges()
    found.begin(FIRST, "agent", NOON, 60)
    found.settle(FIRST, "agent", NOON, -50)
    assert found.spent(("t", "agent"), NOON) == 10


def test_a_new_day_begins_with_nothing_and_yesterdays_rest_does_not_reach_into_it() -> None:
    found = Exchanges()
    found.begin(FIRST, "agent", NOON, 60)
    assert found.spent(("t", "agent"), NOON + DAY_MS) == 0
    found.begin(FIRST, "agent", NOON + DAY_MS, 5)
    found.settle(FIRST, "agent", NOON, -50)
    assert found.spent(("t", "agent"), NOON + DAY_MS) == 5


def test_a_clock_that_goes_back_gives_nothing_back() -> None:
    found = Exchanges()
    found.begin(FIRST, "agent", NOON, 60)
    assert found.spent(("t", "agent"), NOON - DAY_MS) == 60
    found.begin(FIRST, "agent", NOON - DAY_MS, 5)
    assert found.spent(("t", "agent"), NOON) == 65


def test_nobody_settles_what_never_began() -> None:
    found = Exchanges()
    found.settle(FIRST, "agent", NOON, -50)
    assert found.spent(("t", "agent"), NOON) == 0
