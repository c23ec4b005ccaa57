"""A time zone by its rule shows what the clocks of the place show, to the second and to the year."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm.contracts.errors import Invalid
from helm.guardian.time_zone import EPOCH_DAY, time_zone

ZONES = {
    "America/New_York": "EST5EDT,M3.2.0,M11.1.0",
    "America/Nuuk": "<-02>2<-01>,M3.5.0/-1,M10.5.0/0",
    "America/Santiago": "<-04>4<-03>,M9.1.6/24,M4.1.6/24",
    "Antarctica/Troll": "<+00>0<+02>-2,M3.5.0/1,M10.5.0/3",
    "Asia/Kathmandu": "<+0545>-5:45",
    "Australia/Lord_Howe": "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
    "Europe/Berlin": "CET-1CEST,M3.5.0,M10.5.0/3",
    "Europe/Dublin": "IST-1GMT0,M10.5.0,M3.5.0/1",
    "Pacific/Auckland": "NZST-12NZDT,M9.5.0,M4.1.0/3",
    "UTC": "UTC0",
}
"""Places with a change of every kind: south, half an hour, two hours, in winter, the day before, none."""

needs_database = pytest.mark.skipif(
    not available_timezones() >= ZONES.keys(), reason="this machine has no database of time zones"
)

SINCE, UNTIL = (int(datetime(year, 6, 1, tzinfo=UTC).timestamp()) for year in (2024, 2200))
"""The rules have held since then."""


@needs_database
@given(place=st.sampled_from(sorted(ZONES)), instant_s=st.integers(SINCE, UNTIL), ms=st.integers(0, 999))
def test_it_shows_what_the_database_of_the_machine_says(place: str, instant_s: int, ms: int) -> None:
    rule, there = time_zone(ZONES[place], ""), datetime.fromtimestamp(instant_s, ZoneInfo(place))
    assert there.utcoffset() == timedelta(seconds=rule.offset_at(instant_s))
    assert rule.local(instant_s * 1000 + ms) == (there.toordinal(), there.hour * 60 + there.minute)
    assert rule.name_at(instant_s * 1000) == there.tzname()


@needs_database
@given(place=st.sampled_from(sorted(ZONES)), year=st.integers(2025, 2150), off_s=st.integers(-7200, 7200))
def test_it_changes_in_the_very_second(place: str, year: int, off_s: int) -> None:
    rule, zone = time_zone(ZONES[place], ""), ZoneInfo(place)
    for begins, change in ((True, rule.begins), (False, rule.ends)):
        if change is None:
            continue
        instant_s = change.local_s(year) - (rule.offset_s if begins else rule.summer_offset_s)
        assert rule.is_summer(instant_s) is begins and rule.is_summer(instant_s - 1) is not begins
        listed = datetime.fromtimestamp(instant_s + off_s, zone).utcoffset()
        assert listed == timedelta(seconds=rule.offset_at(instant_s + off_s))


@pytest.mark.parametrize(
    ("place", "instant", "shown"),
    [
        ("Europe/Berlin", "2026-03-29T00:59:59Z", "CET"),
        ("Europe/Berlin", "2026-03-29T01:00:00Z", "CEST"),
        ("Europe/Berlin", "2026-10-25T00:59:59Z", "CEST"),
        ("Europe/Berlin", "2026-10-25T01:00:00Z", "CET"),
        ("America/New_York", "2026-03-08T06:59:59Z", "EST"),
        ("America/New_York", "2026-03-08T07:00:00Z", "EDT"),
        ("America/New_York", "2026-11-01T05:59:59Z", "EDT"),
        ("America/New_York", "2026-11-01T06:00:00Z", "EST"),
        ("Europe/Dublin", "2026-07-01T00:00:00Z", "IST"),
        ("Europe/Dublin", "2026-12-01T00:00:00Z", "GMT"),
        ("Pacific/Auckland", "2026-12-31T12:00:00Z", "NZDT"),
        ("Asia/Kathmandu", "2026-12-31T12:00:00Z", "+0545"),
    ],
)
def test_clocks_change_when_the_law_says(place: str, instant: str, shown: str) -> None:
    at_ms = round(datetime.fromisoformat(instant).timestamp() * 1000)
    assert time_zone(ZONES[place], "").name_at(at_ms) == shown


@pytest.mark.parametrize(
    ("written", "year", "shown"),
    [
        ("J60", 2027, "03-01"),
        ("J60", 2028, "03-01"),
        ("59", 2027, "03-01"),
        ("59", 2028, "02-29"),
        ("0", 2028, "01-01"),
    ],
)
def test_a_day_of_the_year_is_counted_with_or_without_the_leap_day(written: str, year: int, shown: str) -> None:
    change = time_zone(f"AAA0BBB,{written}/0,J300", "").begins
    assert change is not None
    day = datetime.fromtimestamp(change.local_s(year), UTC)
    assert day.strftime("%m-%d") == shown


def test_a_summer_that_never_ends_is_one() -> None:
    rule = time_zone("XXX3EDT4,0/0,J365/23", "")  # RFC 8536 section 3.3.1
    assert all(rule.is_summer(SINCE + day * 43_200) for day in range(1_500))
    assert EPOCH_DAY == 719_163


@pytest.mark.parametrize(
    "text",
    [
        "Europe/Berlin",
        "CET",
        "CET-1CEST",
        "CET-1CEST,M3.5.0",
        "CET-1CEST,M13.5.0,M10.5.0",
        "CET-1CEST,M0.5.0,M10.5.0",
        "CET-1CEST,M3.6.0,M10.5.0",
        "CET-1CEST,M3.5.7,M10.5.0",
        "CET-1CEST,J0,M10.5.0",
        "CET-1CEST,366,M10.5.0",
        "CET-25",
        "CET-1:60",
        "CET-1CEST,M3.5.0/168,M10.5.0",
        "",
        "C" * 5_000 + "0",
        "CET-1\n",
        "CET-1CEST,M3.5.0,M10.5.0\u0660",
    ],
)
def test_what_is_not_a_rule_is_refused_and_says_how_to_write_one(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        time_zone(text, "windows.office.time_zone")
    assert caught.value.where == "windows.office.time_zone" and caught.value.hint
