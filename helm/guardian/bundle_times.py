"""Reads what a bundle says of the time in which a tool may be used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum

from helm.contracts.errors import Invalid
from helm.guardian.bundle_table import Table, check_choice
from helm.guardian.policy import VelocityRule, Window

MAX_VELOCITY = 4_096
"""Highest count that may matter: the guardian remembers that many calls of one principal and tool (T4)."""

MAX_VELOCITY_WINDOW_S = 86_400

CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")


class Day(StrEnum):
    """The days of the week, Monday first."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


DAYS = tuple(day.value for day in Day)


def read_windows(table: Table) -> Iterator[Window]:
    """Yield the hours in which the tool runs without a human. Raises Invalid."""
    for below in table.tables("windows"):
        days = below.texts("days", DAYS)
        for index, day in enumerate(days):
            check_choice(day, Day, f"{below.at('days')}[{index}]")
        window = Window(
            days=frozenset(DAYS.index(day) for day in days),
            from_minute=read_minute(below, "from"),
            to_minute=read_minute(below, "to"),
        )
        below.finish()
        if window.from_minute >= window.to_minute or not days:
            hint = "write two windows for a night: one to 24:00, one from 00:00"
            raise Invalid("a window that is never open", below.place, hint)
        yield window


def read_minute(table: Table, member: str) -> int:
    """Return the minute of the day, UTC. Raises Invalid."""
    text = table.text(member)
    if CLOCK.fullmatch(text) is None:
        raise Invalid("not a time of day", table.at(member), 'write "08:00", in UTC; a day ends at "24:00"')
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def read_velocity(table: Table) -> VelocityRule | None:
    """Return how fast the tool may be used, None where it does not matter. Raises Invalid."""
    if not table.has("velocity"):
        return None
    below = table.table("velocity")
    velocity = VelocityRule(
        window_s=below.whole("window_s", (1, MAX_VELOCITY_WINDOW_S)),
        throttle_above=below.whole("throttle_above", (1, MAX_VELOCITY), 0),
        interrupt_above=below.whole("interrupt_above", (1, MAX_VELOCITY), 0),
    )
    below.finish()
    if not velocity.throttle_above and not velocity.interrupt_above:
        raise Invalid("a velocity without a threshold", below.place, "add throttle_above or interrupt_above")
    return velocity
