"""What the temporal office will ask of a call: each velocity rule with its levels, each window on its own clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from helm.guardian.bundle_times import DAYS
from helm.guardian.explanation import DENY, ESCALATE, PASS, Row, Supposed
from helm.guardian.policy import ToolRule
from helm.guardian.velocity import Level, VelocityRule
from helm.guardian.window import LAST_DAY, Window

COMES_TO = {
    Level.NONE: PASS,
    Level.OBSERVE: f"{PASS}, noted as OBSERVE",
    Level.THROTTLE: f"{DENY} TEMPORAL_THROTTLE",
    Level.INTERRUPT: f"{ESCALATE} TEMPORAL_INTERVENTION",
}
SHUT = COMES_TO[Level.INTERRUPT]


def of_time(rule: ToolRule, supposed: Supposed) -> Iterator[Row]:
    """Yield what is asked of the pace and of the hour of a call."""
    for velocity in rule.velocity:
        yield from of_velocity(velocity, supposed)
    for window in rule.windows:
        yield of_window(window, supposed)
    if rule.windows and supposed.at_ms is not None:
        at_ms = supposed.at_ms
        names = ", ".join(window.id for window in rule.windows if window.is_open(at_ms))
        yield Row("temporal", f"at that time: {names or 'no window'} is open", PASS if names else SHUT)


def of_velocity(rule: VelocityRule, supposed: Supposed) -> Iterator[Row]:
    """Yield each level of a rule with what lies beyond it, and what becomes of the call that is supposed."""
    per = f"calls of one {rule.per} in {rule.window_s} s"
    levels = (Level.INTERRUPT, rule.interrupt_above), (Level.THROTTLE, rule.throttle_above)
    for level, above in (*levels, (Level.OBSERVE, rule.observe_above)):
        if above:
            held = f", held for {rule.cool_down_s} s" if rule.cool_down_s and level is not Level.OBSERVE else ""
            yield Row("temporal", f"velocity {rule.id}: at most {above} {per}", f"beyond that: {COMES_TO[level]}{held}")
    if supposed.calls is not None:
        level = rule.reached(supposed.calls)
        calls = "1 call" if supposed.calls == 1 else f"{supposed.calls} calls"
        what = f"velocity {rule.id}: after {calls}, level {level or 'none'}"
        yield Row("temporal", what, COMES_TO[level])


def of_window(window: Window, supposed: Supposed) -> Row:
    what = f"window {window.id}: runs alone {hours(window)}"
    if supposed.at_ms is None:
        return Row("temporal", what, f"else {SHUT}")
    return Row("temporal", f"{what}; there it is {shown_by(window, supposed.at_ms)}", is_open(window, supposed.at_ms))


def is_open(window: Window, at_ms: int) -> str:
    return "open" if window.is_open(at_ms) else "shut"


def shown_by(window: Window, at_ms: int) -> str:
    """Return what the clock of a window shows at an instant."""
    day, minute = window.zone.local(at_ms)
    weekday = DAYS[(day - 1) % 7]
    return f"{weekday} {date.fromordinal(day).isoformat()} {clock(minute)} {window.zone.name_at(at_ms)}"


def hours(window: Window) -> str:
    """Say when a window is open."""
    days = " ".join(DAYS[day] for day in sorted(window.days))
    return f"{days} {clock(window.from_minute)}-{clock(window.to_minute)} {window.zone.rule}{calendar(window)}"


def calendar(window: Window) -> str:
    """Say on which days of the calendar a window is open, "" for all of them."""
    since = f", from {date.fromordinal(window.from_day).isoformat()}" if window.from_day > 1 else ""
    until = f", to {date.fromordinal(window.to_day).isoformat()}" if window.to_day < LAST_DAY else ""
    except_days = ", ".join(date.fromordinal(day).isoformat() for day in sorted(window.except_days))
    return f"{since}{until}{f', but not on {except_days}' if except_days else ''}"


def clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
