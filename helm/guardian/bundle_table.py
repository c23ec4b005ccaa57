"""One table of a policy bundle, read member by member: what nobody asked for is refused.

A misspelt member would otherwise be a rule that its author believes in and nobody applies.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from enum import StrEnum
from typing import TypeVar

import attrs

from helm.contracts.dialect import shown
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.contracts.kind import how_to_write, kind_of
from helm.contracts.nearest import or_nearest

NAME = re.compile(r"[!-~]{1,256}")
"""A name is visible ASCII, as in a call: what a person reads is what is compared."""

BARE = re.compile(r"[A-Za-z0-9_-]+")

MAX_WHOLE = 2**53 - 1

MAX_TEXT_CHARS = 8192
"""Longest text of a policy outside its schemas (T4)."""

E = TypeVar("E", bound=StrEnum)


def below(place: str, member: str) -> str:
    """Return the dotted path of a member, written as TOML would write it."""
    written = member if BARE.fullmatch(member) else '"' + member.replace('"', '\\"') + '"'
    return f"{place}.{written}" if place else written


def dotted(place: str, pointer: str) -> str:
    """Return the dotted path of what a JSON pointer (RFC 6901) means below a place, anything else as it is."""
    if not pointer.startswith("/"):
        return place or pointer
    for step in pointer[1:].split("/"):
        name = step.replace("~1", "/").replace("~0", "~")
        place = f"{place}[{step}]" if step.isdigit() else below(place, name)
    return place


@attrs.define
class Table:
    """A table at a dotted path. Every reader notes what it asked for; `finish` refuses the rest."""

    place: str
    members: Mapping[str, JSONValue]
    asked: set[str] = attrs.field(factory=set)

    def at(self, member: str) -> str:
        """Return the dotted path of a member."""
        return below(self.place, member)

    def has(self, member: str) -> bool:
        """Tell whether a member is there."""
        self.asked.add(member)
        return member in self.members

    def value(self, member: str, kind: type, what: str) -> JSONValue:
        """Return a member of exactly this type. Raises Invalid."""
        if not self.has(member):
            raise Invalid(f"{what} is missing", self.at(member), self._hint_at(member))
        found = self.members[member]
        if type(found) is not kind:
            raise Invalid(f"must be {what}, not {kind_of(found)}", self.at(member), how_to_write(kind, found))
        return found

    def _hint_at(self, member: str) -> str:
        """Say what to add, and what looks like it: most that is missing is there under a misspelt name."""
        alike = [name for name in self.members if name not in self.asked and looks_like(name, member)]
        return f"rename {shown(alike[0])} to {member}" if alike else f"add {member}"

    def text(self, member: str, default: str | None = None) -> str:
        """Return a text that a person can read, empty only where that is the default. Raises Invalid."""
        if default is not None and not self.has(member):
            return default
        text: str = self.value(member, str, "a text")
        if len(text) > MAX_TEXT_CHARS or not text.isprintable() or (not text and default != ""):
            hint = f"at most {MAX_TEXT_CHARS} characters, all of them visible, on one line"
            raise Invalid("not a plain text", self.at(member), hint)
        return text

    def source(self, member: str) -> str:
        """Return an expression, which may go over several lines. Raises Invalid."""
        source: str = self.value(member, str, "a text")
        return source

    def name(self, member: str, default: str | None = None) -> str:
        """Return a name: 1 to 256 characters of visible ASCII. Raises Invalid."""
        text = self.text(member, default)
        if text != default:
            check_name(text, self.at(member))
        return text

    def whole(self, member: str, bounds: tuple[int, int], default: int | None = None) -> int:
        """Return a whole number within bounds, both included. Raises Invalid."""
        if default is not None and not self.has(member):
            return default
        number: int = self.value(member, int, "a whole number")
        least, most = bounds
        if not least <= number <= most:
            raise Invalid(f"{shown(number)} is not within {least} and {most}", self.at(member))
        return number

    def limit(self, member: str) -> int | None:
        """Return a ceiling, None where there is none. Raises Invalid."""
        return self.whole(member, (0, MAX_WHOLE)) if self.has(member) else None

    def flag(self, member: str) -> bool:
        """Return a truth value, false where it is not stated. Raises Invalid."""
        return bool(self.value(member, bool, "true or false")) if self.has(member) else False

    def choice(self, member: str, choices: type[E], default: E | None = None) -> str:
        """Return one of a few words. Raises Invalid."""
        text = self.text(member, default)
        check_choice(text, choices, self.at(member))
        return text

    def texts(self, member: str, default: tuple[str, ...] | None = None) -> tuple[str, ...]:
        """Return a list of different names. Raises Invalid."""
        if default is not None and not self.has(member):
            return default
        items = tuple(self.value(member, list, "a list"))
        for index, item in enumerate(items):
            if type(item) is not str:
                raise Invalid(f"must be a text, not {kind_of(item)}", f"{self.at(member)}[{index}]")
            check_name(item, f"{self.at(member)}[{index}]")
        if len(set(items)) != len(items):
            raise Invalid("the same text twice", self.at(member), "leave one out")
        return items

    def object(self, member: str) -> dict[str, JSONValue]:
        """Return a table as it stands, for a reader of another language. Raises Invalid."""
        found: dict[str, JSONValue] = self.value(member, dict, "a table")
        return found

    def table(self, member: str) -> Table:
        """Return a table below this one, an empty one where it is not stated. Raises Invalid."""
        return Table(self.at(member), self.object(member) if self.has(member) else {})

    def tables(self, member: str) -> Iterator[Table]:
        """Yield the tables of a list. Raises Invalid."""
        if not self.has(member):
            return
        for index, item in enumerate(self.value(member, list, "a list of tables")):
            place = f"{self.at(member)}[{index}]"
            if type(item) is not dict:
                raise Invalid(f"must be a table, not {kind_of(item)}", place)
            yield Table(place, item)

    def named(self, member: str) -> Iterator[tuple[str, Table]]:
        """Yield the tables below this one by their names. Raises Invalid."""
        group = self.table(member)
        for name in group.members:
            check_name(name, group.at(name))
            yield name, Table(group.at(name), group.object(name))

    def finish(self) -> None:
        """Refuse every member that nobody asked for. Raises Invalid."""
        self.check_known(self.asked)

    def check_known(self, names: Collection[str]) -> None:
        """Refuse every member that is none of these. Raises Invalid."""
        for member in self.members:
            if member not in names:
                raise Invalid(f"unknown key {shown(member)}", self.at(member), or_nearest(member, names))


def looks_like(name: str, member: str) -> bool:
    """Tell whether `name` may be a misspelt `member`: it begins alike and is as long, but for a letter."""
    return name[:2] == member[:2] and abs(len(name) - len(member)) < 2


def check_name(text: str, where: str) -> None:
    if NAME.fullmatch(text) is None:
        hint = "1 to 256 characters of visible ASCII, no blanks"
        raise Invalid(f"{shown(text)} is not a name", where, hint)


def check_choice(text: str, choices: type[StrEnum], where: str) -> None:
    words = [choice.value for choice in choices]
    if text not in words:
        raise Invalid(f"{shown(text)} is none of the words it may be", where, f"write {', '.join(words)}")
