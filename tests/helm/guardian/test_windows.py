"""A window opens and shuts in the second in which the clocks of its place say so, on every day of the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from helm.contracts.errors import Invalid
from helm.guardian.bundle import compile_document
from helm.guardian.policy import ToolRule
from tests.helm.guardian.bundles import document, tool

BERLIN = "CET-1CEST,M3.5.0,M10.5.0/3"


def rule(**window: Any) -> ToolRule:
    return tool("pay", windows=[{"from": "00:00", "to": "24:00", "time_zone": BERLIN, **window}])


def is_open(found: ToolRule, day: str, hour: str, offset: str = "+01:00") -> bool:
    """Say whether a window is open at an hour of Berlin, in winter unless another offset is stated."""
    there = datetime.fromisoformat(f"{day}T{hour}{offset}")
    return any(window.is_open(round(there.timestamp() * 1000)) for window in found.windows)


def test_the_hours_are_those_of_the_place_in_winter_and_in_summer() -> None:
    office = rule(**{"from": "08:00", "to": "18:00"})
    hours = "07:59:59.999", "08:00", "17:59:59.999", "18:00"
    for day, offset in (("2026-01-15", "+01:00"), ("2026-07-15", "+02:00")):
        assert [is_open(office, day, hour, offset) for hour in hours] == [False, True, True, False]


def test_midnight_belongs_to_the_day_that_begins() -> None:
    monday = rule(days=["mon"])
    assert not is_open(monday, "2026-10-04", "23:59:59.999", "+02:00") and is_open(
        monday, "2026-10-05", "00:00", "+02:00"
    )
    assert is_open(monday, "2026-10-05", "23:59:59.999", "+02:00") and not is_open(
        monday, "2026-10-06", "00:00", "+02:00"
    )


def test_the_hour_that_is_skipped_in_spring_opens_nothing() -> None:
    night = rule(**{"from": "02:00", "to": "03:00"})
    first = datetime(2026, 3, 29, tzinfo=UTC)  # 01:00 UTC is 03:00 there, the second before it 01:59:59
    opens = [night.windows[0].is_open(round((first + timedelta(minutes=n)).timestamp() * 1000)) for n in range(1_200)]
    assert not any(opens)
    assert is_open(night, "2026-03-28", "02:30") and is_open(night, "2026-03-30", "02:30", "+02:00")


def test_the_hour_that_is_repeated_in_autumn_is_open_both_times() -> None:
    night = rule(**{"from": "02:00", "to": "03:00"})
    assert is_open(night, "2026-10-25", "02:30", "+02:00") and is_open(night, "2026-10-25", "02:30", "+01:00")
    first = datetime(2026, 10, 25, tzinfo=UTC)
    opens = [night.windows[0].is_open(round((first + timedelta(minutes=n)).timestamp() * 1000)) for n in range(240)]
    assert sum(opens) == 120


def test_a_leap_day_is_a_day_and_no_other_year_has_it() -> None:
    leap = rule(from_date="2028-02-29", to_date="2028-02-29")
    assert not is_open(leap, "2028-02-28", "23:59:59.999") and is_open(leap, "2028-02-29", "00:00")
    assert is_open(leap, "2028-02-29", "23:59:59.999") and not is_open(leap, "2028-03-01", "00:00")
    for day in ("2027-02-29", "2100-02-29", "2026-13-01", "2026-1-1", "20260101", "2026-W01-1"):
        assert refusal({"from": "00:00", "to": "24:00", "to_date": day}).where == "tools.pay.windows[0].to_date"


def test_a_window_is_shut_on_its_exceptions_by_the_calendar_of_its_place() -> None:
    office = rule(except_dates=["2026-12-25"])
    assert not is_open(office, "2026-12-25", "00:00") and not is_open(office, "2026-12-25", "23:59")
    assert is_open(office, "2026-12-24", "23:59") and is_open(office, "2026-12-26", "00:00")
    assert is_open(office, "2026-12-25", "18:00", "-05:00")  # which is the 26th there


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
