"""Temporal constraints: when a tool may be used, and how fast it may be called."""

from __future__ import annotations

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.inquiry import Inquiry, Office
from helm.guardian.offices.asking import require
from helm.guardian.velocity import Level, Pace, VelocityRule, level_of, paced


def check(inquiry: Inquiry) -> None:
    """Refuse a call that comes too fast, and escalate one that comes at a pace or an hour that needs a human."""
    rule = inquiry.rule
    if rule.velocity:
        _check_velocity(inquiry)
    if rule.windows:
        now_ms = inquiry.world.now_ms
        for window in rule.windows:
            if window.is_open(now_ms):
                return
        names = ", ".join(window.id for window in rule.windows)
        what = f"outside the hours in which this tool runs without a human: {names}"
        require(inquiry, ReasonCode.TEMPORAL_INTERVENTION, what)


def _check_velocity(inquiry: Inquiry) -> None:
    """Throttle first, by whichever rule: nobody is asked to agree to what is refused anyhow."""
    interrupting = ""
    for rule, pace in paced(inquiry.rule.velocity, inquiry.world.velocity):
        if not pace.account:
            what = f"velocity {rule.id} counts {rule.most_accounts} others of this {OWNERS[rule.per.value]} already"
            raise Refused(ReasonCode.TEMPORAL_THROTTLE, what)
        level = level_of(rule, pace)
        if level is Level.THROTTLE:
            wait_s = -((inquiry.world.now_ms - pace.clear_ms) // 1000)
            raise Refused(ReasonCode.TEMPORAL_THROTTLE, f"{said(rule, pace, level)}; the next one in {wait_s} s")
        if level is Level.INTERRUPT:
            interrupting = interrupting or f"{said(rule, pace, level)}, which needs a human"
    if interrupting:
        require(inquiry, ReasonCode.TEMPORAL_INTERVENTION, interrupting)


OWNERS = {"session": "principal", "principal": "tenant", "tenant": "kernel"}


def said(rule: VelocityRule, pace: Pace, level: Level) -> str:
    """Say which rule lifted the call to its level, and how."""
    counted = f"velocity {rule.id}: {pace.calls} calls of this {rule.per} in {rule.window_s} s"
    return counted if rule.reached(pace.calls) is level else f"{counted}, {level} holds for {rule.cool_down_s} s"


OFFICE = Office("temporal", check, ReasonCode.TEMPORAL_THROTTLE)
