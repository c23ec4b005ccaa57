"""A window opens and shuts in the second in which the clocks of its place say so, on every day of the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from helm.contracts.errors import Invalid
from helm.guardian.bundle import compile_document
from helm.guardian.policy import ToolRule
from tests.helm.guardian.bundles import document, tool

BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"


def rule(**window: Any) -> ToolRule:
    return tool("pay", windows=[{"from": "00:00", "to": "24:00", "time_zone": BERLIN, **window}])


def is_open(found: ToolRule, moment: str, zone: str = "Europe/Berlin", *, fold: int = 0) -> bool:
    there = datetime.fromisoformat(moment).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return any(window.is_open(round(there.timestamp() * 1000)) for window in found.windows)


def test_the_hours_are_those_of_the_place_in_winter_and_in_summer() -> None:
    office = rule(**{"from": "08:00", "to": "18:00"})
    for day in ("2026-01-15", "2026-07-15"):
        assert [is_open(office, f"{day}T{hour}") for hour in ("07:59:59.999", "08:00", "17:59:59.999", "18:00")] == [
            *(False, True),
            *(True, False),
        ]


def test_midnight_belongs_to_the_day_that_begins() -> None:
    monday = rule(days=["mon"])
    moments = "2026-10-04T23:59:59.999", "2026-10-05T00:00", "2026-10-05T23:59:59.999", "2026-10-06T00:00"
    assert [is_open(monday, moment) for moment in moments] == [False, True, True, False]


def test_the_hour_that_is_skipped_in_spring_opens_nothing() -> None:
    night = rule(**{"from": "02:00", "to": "03:00"})
    first = datetime(2026, 3, 29, tzinfo=UTC)  # 01:00 UTC is 03:00 there, the second before it 01:59:59
    opens = [night.windows[0].is_open(round((first + timedelta(minutes=n)).timestamp() * 1000)) for n in range(1_200)]
    assert not any(opens)
    assert is_open(night, "2026-03-28T02:30") and is_open(night, "2026-03-30T02:30")


def test_the_hour_that_is_repeated_in_autumn_is_open_both_times() -> None:
    night = rule(**{"from": "02:00", "to": "03:00"})
    assert is_open(night, "2026-10-25T02:30", fold=0) and is_open(night, "2026-10-25T02:30", fold=1)
    first = datetime(2026, 10, 25, tzinfo=UTC)
    opens = [night.windows[0].is_open(round((first + timedelta(minutes=n)).timestamp() * 1000)) for n in range(240)]
    assert sum(opens) == 120


def test_a_leap_day_is_a_day_and_no_other_year_has_it() -> None:
    leap = rule(from_date="2028-02-29", to_date="2028-02-29")
    moments = "2028-02-28T23:59:59.999", "2028-02-29T00:00", "2028-02-29T23:59:59.999", "2028-03-01T00:00"
    assert [is_open(leap, moment) for moment in moments] == [False, True, True, False]
    for day in ("2027-02-29", "2100-02-29", "2026-13-01", "2026-1-1", "20260101", "2026-W01-1"):
        assert refusal({"from": "00:00", "to": "24:00", "to_date": day}).where == "tools.pay.windows[0].to_date"


def test_a_window_is_shut_on_its_exceptions_by_the_calendar_of_its_place() -> None:
    office = rule(except_dates=["2026-12-25"])
    assert not is_open(office, "2026-12-25T00:00") and not is_open(office, "2026-12-25T23:59")
    assert is_open(office, "2026-12-24T23:59") and is_open(office, "2026-12-26T00:00")
    assert is_open(office, "2026-12-25T18:00", "America/New_York")  # which is the 26th there


def refusal(*windows: Any, **named: Any) -> Invalid:
    """Return what is said of these windows of a tool, and of these of the bundle."""
    whole = document("tools", "pay", windows=list(windows))
    whole |= {"windows": named} if named else {}
    with pytest.raises(Invalid) as caught:
        compile_document(whole)
    return caught.value


ALWAYS = {"from": "00:00", "to": "24:00"}


@pytest.mark.parametrize(
    ("window", "where"),
    [
        ({"from_date": "2026-12-31", "to_date": "2026-01-01"}, ""),
        ({"days": ["sat"], "from_date": "2026-10-05", "to_date": "2026-10-09"}, ""),
        ({"from_date": "2026-10-05", "to_date": "2026-10-06", "except_dates": ["2026-10-05", "2026-10-06"]}, ""),
        ({"days": ["mon"], "except_dates": ["2026-10-06"]}, ".except_dates"),
        ({"to_date": "2026-10-06", "except_dates": ["2026-10-07"]}, ".except_dates"),
        ({"except_dates": ["2026-10-06", "2026-10-06"]}, ".except_dates"),
        ({"except_dates": ["tomorrow"]}, ".except_dates[0]"),
        ({"time_zone": "Europe/Berlin"}, ".time_zone"),
        ({"timezone": BERLIN}, ".timezone"),
    ],
)
def test_a_window_that_contradicts_itself_is_refused_at_load(window: dict[str, Any], where: str) -> None:
    assert refusal({**ALWAYS, **window}).where == f"tools.pay.windows[0]{where}"


def test_windows_of_the_bundle_are_shared_by_name_and_each_is_used() -> None:
    whole = document("tools", "pay", windows=["office", {**ALWAYS, "days": ["sun"]}])
    whole["windows"] = {"office": {"from": "08:00", "to": "18:00", "time_zone": BERLIN}}
    found = compile_document(whole).tools["pay"].windows
    assert [window.id for window in found] == ["office", "window-1"]
    assert refusal("office").where == "tools.pay.windows[0]"
    assert "no tool names" in refusal(office=ALWAYS).what
    assert "twice" in refusal("office", "office", office=ALWAYS).what
    assert "must be a table or a name" in refusal(7).what
