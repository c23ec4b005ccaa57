"""A time zone by its rule: what a clock on the wall shows at an instant, worked out from the policy alone.

POSIX.1-2017 section 8.3 (TZ), with the hours of RFC 8536 section 3.3.1: `CET-1CEST,M3.5.0,M10.5.0/3`. A name such as
Europe/Berlin is not taken: it means what the database of some machine says, and two machines, or one machine before and
after an update, would judge one call in two ways (T2).
"""

from __future__ import annotations

import re
from datetime import date
from typing import Final

import attrs

from helm.contracts.dialect import shown
from helm.contracts.errors import Invalid

DAY_S: Final = 86_400
EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
MAX_RULE_CHARS: Final = 100

NAME: Final = r"(?:[A-Za-z]{3,16}|<[A-Za-z0-9+-]{3,16}>)"
TIME: Final = r"[+-]?[0-9]{1,3}(?::[0-5][0-9](?::[0-5][0-9])?)?"
MOMENT: Final = rf"(?:M[0-9]{{1,2}}\.[1-5]\.[0-6]|J?[0-9]{{1,3}})(?:/{TIME})?"
RULE: Final = re.compile(
    rf"(?P<standard>{NAME})(?P<offset>{TIME})"
    rf"(?:(?P<summer>{NAME})(?P<summer_offset>{TIME})?,(?P<begins>{MOMENT}),(?P<ends>{MOMENT}))?"
)

MAX_OFFSET_S: Final = 24 * 3600 + 3599
MAX_CHANGE_S: Final = 167 * 3600 + 3599
HOUR_S: Final = 3600
CHANGE_S: Final = 2 * HOUR_S
"""The time of the day at which clocks change where the rule names none."""


@attrs.frozen(kw_only=True)
class Change:
    """The day of a year on which clocks change, and the time that they show just before it.

    `M m.w.d`: day `weekday` (0 is Sunday) of week `week` of the month, 5 being the last. Else the day of the year:
    `J n` from 1 to 365 with no 29 February, `n` from 0 to 365 with one.
    """

    month: int
    week: int
    weekday: int
    day: int
    counts_leap_day: bool
    seconds: int

    def local_s(self, year: int) -> int:
        """Return the moment in a year, in seconds since the epoch as that clock shows them."""
        return (self._ordinal(year) - EPOCH_DAY) * DAY_S + self.seconds

    def _ordinal(self, year: int) -> int:
        if self.month:
            first = date(year, self.month, 1).toordinal()
            found = first + (self.weekday - first) % 7 + 7 * (self.week - 1)  # an ordinal divisible by 7 is a Sunday
            return found if date.fromordinal(found).month == self.month else found - 7
        first = date(year, 1, 1).toordinal()
        if self.counts_leap_day:
            return first + self.day
        leaps = first + 365 != date(year + 1, 1, 1).toordinal()
        return first + self.day - 1 + (leaps and self.day > 59)


@attrs.frozen(kw_only=True)
class TimeZone:
    """A rule, compiled. Offsets are seconds east of Greenwich."""

    rule: str
    standard: str
    offset_s: int
    summer: str = ""
    """"" where the clocks never change."""
    summer_offset_s: int = 0
    begins: Change | None = None
    ends: Change | None = None

    def offset_at(self, instant_s: int) -> int:
        """Return what is to be added to an instant, in seconds since the epoch, for what the clock shows then."""
        return self.summer_offset_s if self.is_summer(instant_s) else self.offset_s

    def is_summer(self, instant_s: int) -> bool:
        """Say whether the other offset is in force: whether the last change before the instant began it."""
        if self.begins is None or self.ends is None:
            return False
        year = date.fromordinal(EPOCH_DAY + (instant_s + self.offset_s) // DAY_S).year
        changes = [
            change
            for one in (year - 1, year, year + 1)
            for change in (
                (self.begins.local_s(one) - self.offset_s, True),
                (self.ends.local_s(one) - self.summer_offset_s, False),
            )
        ]
        return max(change for change in changes if change[0] <= instant_s)[1]

    def local(self, instant_ms: int) -> tuple[int, int]:
        """Return the day, as an ordinal, and the minute of it that a clock on the wall shows."""
        instant_s = instant_ms // 1000
        day, seconds = divmod(instant_s + self.offset_at(instant_s), DAY_S)
        return EPOCH_DAY + day, seconds // 60

    def name_at(self, instant_ms: int) -> str:
        """Return the abbreviation in force."""
        return self.summer if self.is_summer(instant_ms // 1000) else self.standard


UTC: Final = TimeZone(rule="UTC0", standard="UTC", offset_s=0)


def time_zone(text: str, where: str) -> TimeZone:
    """Compile a rule. Raises Invalid."""
    found = RULE.fullmatch(text) if len(text) <= MAX_RULE_CHARS else None
    if found is None:
        hint = 'write its rule, such as "CET-1CEST,M3.5.0,M10.5.0/3": `helm policy time-zone Europe/Berlin` prints it'
        raise Invalid(f"{shown(text)} is not the rule of a time zone", where, hint)
    offset_s = -seconds_of(found["offset"], MAX_OFFSET_S, where)  # POSIX counts west
    if found["summer"] is None:
        return TimeZone(rule=text, standard=found["standard"].strip("<>"), offset_s=offset_s)
    summer_offset = found["summer_offset"]
    summer_offset_s = offset_s + HOUR_S if summer_offset is None else -seconds_of(summer_offset, MAX_OFFSET_S, where)
    return TimeZone(
        rule=text,
        standard=found["standard"].strip("<>"),
        offset_s=offset_s,
        summer=found["summer"].strip("<>"),
        summer_offset_s=summer_offset_s,
        begins=change(found["begins"], where),
        ends=change(found["ends"], where),
    )


def change(text: str, where: str) -> Change:
    """Return when clocks change. Raises Invalid."""
    moment, _, time = text.partition("/")
    seconds = seconds_of(time, MAX_CHANGE_S, where) if time else CHANGE_S
    if moment.startswith("M"):
        month, week, weekday = map(int, moment[1:].split("."))
        if not 1 <= month <= 12:
            raise Invalid(f"there is no month {month}", where, "write 1 to 12")
        return Change(month=month, week=week, weekday=weekday, day=0, counts_leap_day=False, seconds=seconds)
    day, counts_leap_day = int(moment.removeprefix("J")), not moment.startswith("J")
    if not (0 if counts_leap_day else 1) <= day <= 365:
        raise Invalid(f"a year has no day {moment}", where, "write J1 to J365, or 0 to 365")
    return Change(month=0, week=0, weekday=0, day=day, counts_leap_day=counts_leap_day, seconds=seconds)


def seconds_of(text: str, most: int, where: str) -> int:
    """Return a time of `[+-]hh[:mm[:ss]]` in seconds. Raises Invalid."""
    hours, _, rest = text.lstrip("+-").partition(":")
    minutes, _, seconds = rest.partition(":")
    total = int(hours) * HOUR_S + int(minutes or 0) * 60 + int(seconds or 0)
    if total > most:
        raise Invalid(f"{shown(text)} is further than a clock can be off", where, f"at most {most // HOUR_S} hours")
    return -total if text.startswith("-") else total
