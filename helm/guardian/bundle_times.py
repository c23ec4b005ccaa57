"""Reads what a bundle says of the days and hours in which a tool may be used."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from enum import StrEnum
from types import MappingProxyType

from helm.contracts.errors import Invalid
from helm.contracts.kind import kind_of
from helm.contracts.nearest import or_nearest
from helm.guardian.bundle_table import Table, below, check_choice
from helm.guardian.policy import ToolRule
from helm.guardian.time_zone import UTC, TimeZone, time_zone
from helm.guardian.window import LAST_DAY, Window

CLOCK = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|24:00")
CALENDAR = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

MAX_EXCEPTIONS = 1_000
"""Most days on which one window stays shut (T4)."""


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

Windows = Mapping[str, Window]


def read_named_windows(bundle: Table) -> Windows:
    """Return the windows that any tool may name. Raises Invalid."""
    return MappingProxyType({name: read_window(name, table) for name, table in bundle.named("windows")})


def read_windows(table: Table, named: Windows) -> Iterator[Window]:
    """Yield the windows of one tool: each is a table of its own, or the name of one of the bundle's. Raises Invalid."""
    if not table.has("windows"):
        return
    seen: set[str] = set()
    for index, item in enumerate(table.value("windows", list, "a list")):
        place = f"{table.at('windows')}[{index}]"
        window = named_window(item, named, place) if type(item) is str else own_window(item, index, place)
        if window.id in seen:
            raise Invalid(f"the window {window.id} stands twice", place, "leave one out, or give it another id")
        seen.add(window.id)
        yield window


def named_window(name: str, named: Windows, place: str) -> Window:
    if name not in named:
        hint = f"declare [windows.{name}]; {or_nearest(name, named)}"
        raise Invalid(f"the window {name} is not declared", place, hint)
    return named[name]


def own_window(item: object, index: int, place: str) -> Window:
    if not isinstance(item, dict):
        raise Invalid(f"must be a table or a name, not {kind_of(item)}", place)
    table = Table(place, item)
    return read_window(table.name("id", f"window-{index}"), table)


def read_window(name: str, table: Table) -> Window:
    """Return one window. Raises Invalid, also for one that never opens."""
    days = table.texts("days", DAYS)
    for index, day in enumerate(days):
        check_choice(day, Day, f"{table.at('days')}[{index}]")
    window = Window(
        id=name,
        days=frozenset(DAYS.index(day) for day in days),
        from_minute=read_minute(table, "from"),
        to_minute=read_minute(table, "to"),
        zone=read_zone(table),
        from_day=read_day(table, "from_date", 1),
        to_day=read_day(table, "to_date", LAST_DAY),
        except_days=read_exceptions(table),
    )
    table.finish()
    if window.from_minute >= window.to_minute:
        hint = "write two windows for a night: one to 24:00, one from 00:00"
        raise Invalid("a window that is never open", table.place, hint)
    if not window.ever_opens():
        hint = "no day from from_date to to_date is one of its days and none of except_dates"
        raise Invalid("a window that is never open", table.place, hint)
    for shut in sorted(window.except_days):
        if not window.from_day <= shut <= window.to_day or (shut - 1) % 7 not in window.days:
            written = date.fromordinal(shut).isoformat()
            raise Invalid(f"the window is shut on {written} anyhow", table.at("except_dates"), "leave it out")
    return window


def check_windows_used(named: Windows, tools: Iterable[ToolRule]) -> None:
    """Raise Invalid for a window that no tool names: its author believes in it, and nobody applies it."""
    used = {window for rule in tools for window in rule.windows}
    for name, window in named.items():
        if window not in used:
            raise Invalid(f"no tool names the window {name}", below("windows", name), "name it, or leave it out")


def read_zone(table: Table) -> TimeZone:
    return time_zone(table.text("time_zone"), table.at("time_zone")) if table.has("time_zone") else UTC


def read_minute(table: Table, member: str) -> int:
    """Return the minute of the day. Raises Invalid."""
    text = table.text(member)
    if CLOCK.fullmatch(text) is None:
        raise Invalid("not a time of day", table.at(member), 'write "08:00"; a day ends at "24:00"')
    hours, _, minutes = text.partition(":")
    return int(hours) * 60 + int(minutes)


def read_day(table: Table, member: str, default: int) -> int:
    """Return a day of the calendar as an ordinal. Raises Invalid."""
    return ordinal(table.text(member), table.at(member)) if table.has(member) else default


def read_exceptions(table: Table) -> frozenset[int]:
    texts = table.texts("except_dates", ())
    if len(texts) > MAX_EXCEPTIONS:
        raise Invalid(f"more than {MAX_EXCEPTIONS} dates", table.at("except_dates"), "leave out those that are past")
    return frozenset(ordinal(text, f"{table.at('except_dates')}[{index}]") for index, text in enumerate(texts))


def ordinal(text: str, where: str) -> int:
    """Return the number of a day. Raises Invalid for one that no calendar has."""
    try:
        if CALENDAR.fullmatch(text):
            return date.fromisoformat(text).toordinal()
    except ValueError:
        pass
    raise Invalid(f"the calendar has no day {text!r}", where, 'write "2028-02-29"')
