"""Temporal constraints: when a tool may be used, and how fast one principal may use it."""

from __future__ import annotations

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.inquiry import Inquiry, Office
from helm.guardian.offices.asking import require

DAY_MS = 86_400_000
MINUTE_MS = 60_000
EPOCH_WEEKDAY = 3
"""1970-01-01 was a Thursday; Monday is 0."""


def check(inquiry: Inquiry) -> None:
    """Refuse a call that comes too fast, and escalate one outside its windows or fast enough to need a human."""
    rule, world = inquiry.rule, inquiry.world
    velocity = rule.velocity
    if velocity is not None:
        if velocity.interrupt_above and world.velocity >= velocity.interrupt_above:
            what = f"{world.velocity} calls in {velocity.window_s} s need a human"
            require(inquiry, ReasonCode.TEMPORAL_INTERVENTION, what)
        elif velocity.throttle_above and world.velocity >= velocity.throttle_above:
            raise Refused(
                ReasonCode.TEMPORAL_THROTTLE, f"more than {velocity.throttle_above} calls in {velocity.window_s} s"
            )
    if rule.windows:
        weekday, minute = utc_weekday_minute(world.now_ms)
        if not any(weekday in w.days and w.from_minute <= minute < w.to_minute for w in rule.windows):
            what = "outside the hours in which this tool runs without a human"
            require(inquiry, ReasonCode.TEMPORAL_INTERVENTION, what)


def utc_weekday_minute(now_ms: int) -> tuple[int, int]:
    """Return (weekday with Monday 0, minute of the day) of a POSIX time in ms, both in UTC."""
    day, rest = divmod(now_ms, DAY_MS)
    return (day + EPOCH_WEEKDAY) % 7, rest // MINUTE_MS


OFFICE = Office("temporal", check, ReasonCode.TEMPORAL_THROTTLE)
