"""A window: the days and hours, on the clock of one place, in which a tool runs without a human.

An instant is looked up on that clock, and never the other way round: where clocks are set forward the hour that is
skipped is no instant at all, and where they are set back both passes of the hour that is repeated lie in the window.
"""

from __future__ import annotations

from datetime import date

import attrs

from helm.guardian.time_zone import UTC, TimeZone

LAST_DAY = date.max.toordinal()


@attrs.frozen(kw_only=True)
class Window:
    """Days of the week, Monday is 0, and minutes of each; `to_minute` is not in it any more.

    Days of the calendar are ordinals: the window is open from `from_day` to `to_day`, both included, but for
    `except_days`.
    """

    id: str
    days: frozenset[int]
    from_minute: int
    to_minute: int
    zone: TimeZone = UTC
    from_day: int = 1
    to_day: int = LAST_DAY
    except_days: frozenset[int] = frozenset()

    def is_open(self, now_ms: int) -> bool:
        """Say whether the instant lies in the window."""
        day, minute = self.zone.local(now_ms)
        return self.from_minute <= minute < self.to_minute and self.is_open_on(day)

    def is_open_on(self, day: int) -> bool:
        """Say whether the window opens on a day."""
        weekday = (day - 1) % 7  # ordinal 1 is a Monday
        return weekday in self.days and self.from_day <= day <= self.to_day and day not in self.except_days

    def ever_opens(self) -> bool:
        """Say whether there is a day on which the window opens: one of the first that no exception is left for."""
        last = min(self.to_day, self.from_day + 7 * (len(self.except_days) + 1))
        return any(self.is_open_on(day) for day in range(self.from_day, last + 1))
