"""A member more in somebody else's JSON: what stood there before, comments and all, stays byte for byte.

Read is what the clients read: JSON, with comments and commas before a closing bracket where somebody wrote them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue

MAX_CHARACTERS: Final = 16 * 1024 * 1024
"""Longest file (T4): Claude Code keeps its history beside its servers."""

MAX_DEPTH: Final = 200
"""Deepest nesting: the reader calls itself (T4)."""

SPACE: Final = re.compile(r"(?:[ \t\r\n]++|//[^\r\n]*+|/\*(?:[^*]++|\*(?!/))*+\*/)*+")
STRING: Final = re.compile(r'"(?:[^"\\\x00-\x1f]++|\\.)*+"')
SCALAR: Final = re.compile(r"-?[0-9][0-9.eE+\-]*+|true|false|null")

INDENT: Final = "  "


@attrs.define
class Member:
    """One value of the text: where it stands, and, of an object, its members and where its bracket opens."""

    start: int
    end: int
    value: JSONValue
    members: dict[str, Member] = attrs.field(factory=dict)


@attrs.define
class Reader:
    """Reads one text from its beginning to its end."""

    text: str
    where: str
    at: int = 0

    def document(self) -> Member:
        """Return the whole. Raises Invalid."""
        if len(self.text) > MAX_CHARACTERS:
            raise Invalid(f"more than {MAX_CHARACTERS} characters", self.where)
        found = self.read(0)
        self.skip()
        if self.at != len(self.text):
            raise self.torn()
        return found

    def torn(self) -> Invalid:
        """Return what is wrong at this place."""
        line = self.text.count("\n", 0, self.at) + 1
        return Invalid(f"line {line} is not JSON", self.where, "put it in order by hand first: nothing was changed")

    def skip(self) -> None:
        """Go on behind spaces and comments."""
        found = SPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at

    def sign(self, wanted: str) -> bool:
        """Take a sign if it is the next one."""
        self.skip()
        if not self.text.startswith(wanted, self.at):
            return False
        self.at += 1
        return True

    def read(self, depth: int) -> Member:
        """Read one value."""
        if depth > MAX_DEPTH:
            raise Invalid(f"deeper than {MAX_DEPTH}", self.where)
        self.skip()
        start = self.at
        if self.sign("{"):
            return self.object(start, depth)
        if self.sign("["):
            return self.array(start, depth)
        found = STRING.match(self.text, start) or SCALAR.match(self.text, start)
        if found is None:
            raise self.torn()
        self.at = found.end()
        try:
            return Member(start, self.at, json.loads(found[0]))
        except ValueError as problem:
            raise self.torn() from problem

    def object(self, start: int, depth: int) -> Member:
        """Read the members of an object. Raises Invalid for a name that stands twice: which one would be read?"""
        members: dict[str, Member] = {}
        while not self.sign("}"):
            name = self.read(MAX_DEPTH)
            if type(name.value) is not str or not self.sign(":"):
                raise self.torn()
            if name.value in members:
                raise Invalid(f"{name.value!r} stands twice in one object", self.where, "leave one of them")
            members[name.value] = self.read(depth + 1)
            if not self.sign(",") and not self.text.startswith("}", self.at):
                raise self.torn()
        return Member(start, self.at, {name: one.value for name, one in members.items()}, members)

    def array(self, start: int, depth: int) -> Member:
        """Read the values of a list."""
        values = []
        while not self.sign("]"):
            values.append(self.read(depth + 1).value)
            if not self.sign(",") and not self.text.startswith("]", self.at):
                raise self.torn()
        return Member(start, self.at, values)


def read(text: str, where: str) -> JSONValue:
    """Return the value of a text with comments. Raises Invalid."""
    return Reader(text, where).document().value


def added(text: str, place: Sequence[str], name: str, value: JSONValue, where: str) -> str:
    """Return the text with one member more in the object at `place`, the same text where it says that already.

    Raises Invalid for a text that is no such JSON, and where another member of this name stands there.
    """
    blank = not text.strip()
    start = "{\n}\n" if blank else text
    at, depth = Reader(start, where).document(), 0
    rest = [*place, name]
    while True:
        if type(at.value) is not dict:
            raise Invalid(f"{'/'.join(place[:depth]) or 'it'} is no object", where, "put it in order by hand first")
        if rest[0] not in at.members:
            break
        at, depth = at.members[rest.pop(0)], depth + 1
        if not rest:
            if at.value == value:
                return text
            hint = "look at it, and take it out by hand: it may be a way round HELM"
            raise Invalid(f"it has another entry {name!r}", where, hint)
    for step in reversed(rest[1:]):
        value = {step: value}
    return inserted(start, at, rest[0], value, depth + 1)


def inserted(text: str, into: Member, name: str, value: JSONValue, depth: int) -> str:
    """Return the text with a member put in as the first of an object."""
    lead, close = "\n" + INDENT * depth, "\n" + INDENT * (depth - 1)
    newline = "\r\n" if "\r\n" in text else "\n"
    said = json.dumps(value, indent=len(INDENT), ensure_ascii=False).replace("\n", lead)
    rest = text[into.start + 1 :]
    end = "," if into.members else "" if SPACE.match(rest, 0)[0].count("\n") else close  # type: ignore[index]
    put = f"{lead}{json.dumps(name, ensure_ascii=False)}: {said}{end}"
    return text[: into.start + 1] + put.replace("\n", newline) + rest
