"""Exchanges with a model: how many a session had, since when, and what its principal spent on them today (T4, T9.2)."""

from __future__ import annotations

import attrs

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.sessions import SessionKey

DAY_MS = 24 * 3600 * 1000
"""A spend ceiling counts from midnight UTC: sessions are the caller's to open, so they bound no spending."""


@attrs.frozen(kw_only=True)
class Ceilings:
    """What an installation allows; 0 where there is no ceiling."""

    iterations: int = 0
    """Exchanges of one session."""
    wall_ms: int = 0
    """From a session's first exchange to its last."""
    spend_microcents: int = 0
    """Of one principal in one day."""


@attrs.frozen
class Course:
    """How far a session has come."""

    began_at_ms: int
    iterations: int


@attrs.frozen
class Spent:
    """What a principal has reserved or spent since the beginning of a day."""

    day: int
    microcents: int


@attrs.define
class Exchanges:
    """Every session's course and every principal's spending, folded from the exchanges that began and were settled."""

    courses: dict[SessionKey, Course] = attrs.field(factory=dict, repr=False)
    spending: dict[tuple[str, str], Spent] = attrs.field(factory=dict, repr=False)

    def check(self, session: SessionKey, principal: str, now_ms: int, reserved: int, ceilings: Ceilings) -> None:
        """Raise Refused where one more exchange goes beyond a ceiling."""
        course = self.courses.get(session, Course(now_ms, 0))
        if ceilings.iterations and course.iterations >= ceilings.iterations:
            what = f"the session has had its {ceilings.iterations} exchanges"
            raise Refused(ReasonCode.PROXY_ITERATION_LIMIT, what)
        if ceilings.wall_ms and now_ms - course.began_at_ms >= ceilings.wall_ms:
            what = f"the session's first exchange is more than {ceilings.wall_ms // 1000} s ago"
            raise Refused(ReasonCode.PROXY_WALLCLOCK_LIMIT, what)
        spent = self.spent((session[0], principal), now_ms)
        if ceilings.spend_microcents and spent + reserved > ceilings.spend_microcents:
            what = f"{spent} microcents are spent or reserved today, {reserved} more may be needed"
            raise Refused(ReasonCode.BUDGET_EXCEEDED, f"{what}, of {ceilings.spend_microcents}")

    def begin(self, session: SessionKey, principal: str, now_ms: int, reserved: int) -> None:
        """Count one exchange, and put down the most that it may cost."""
        course = self.courses.get(session, Course(now_ms, 0))
        self.courses[session] = Course(course.began_at_ms, course.iterations + 1)
        self._spend((session[0], principal), now_ms, reserved)

    def settle(self, session: SessionKey, principal: str, began_at_ms: int, change: int) -> None:
        """Put what an exchange cost in the place of what was reserved; a past day is left alone."""
        account = (session[0], principal)
        if account in self.spending and self.spending[account].day == began_at_ms // DAY_MS:
            self._spend(account, began_at_ms, change)

    def spent(self, account: tuple[str, str], now_ms: int) -> int:
        """Return what (tenant, principal) has spent or reserved on the day of `now_ms`, in millionths of a cent."""
        spent = self.spending.get(account)
        return spent.microcents if spent is not None and spent.day >= now_ms // DAY_MS else 0

    def _spend(self, account: tuple[str, str], now_ms: int, microcents: int) -> None:
        day = now_ms // DAY_MS
        standing = self.spending.get(account)
        if standing is not None and standing.day > day:  # the clock went back: the later day goes on
            day = standing.day
        self.spending[account] = Spent(day, self.spent(account, now_ms) + microcents)
