"""How a record becomes a JSON object: every field, by name, in canonical order.

This is the one place that reads a record as a whole.
"""

from __future__ import annotations

from typing import Any, Generic, Self, TypeVar

import attrs
import msgspec

JSONValue = Any
"""dict[str, JSONValue] | list[JSONValue] | str | int | float | bool | None, as `canonical.parse` yields it."""

T = TypeVar("T")


class Noun(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A record of the belt: a call makes a dozen of them, so their class is the cheapest that cannot be changed.

    It holds only what was there before it, so it is part of no cycle and the collector is not told of it.

    Its words are for logs, its bytes are not: they may be a caller's arguments.
    """

    def __repr__(self) -> str:
        words = (f"{name}={value!r}" for name, value in members(self).items() if type(value) in (str, int, bool))
        return f"{type(self).__name__}({', '.join(words)})"

    def but(self, **changes: Any) -> Self:
        """Return another record that differs in these fields; it is checked like any other."""
        return msgspec.structs.replace(self, **changes)


N = TypeVar("N", bound=Noun)


def members(noun: Noun) -> dict[str, JSONValue]:
    """Return a fresh dict of every field, in the order of the class."""
    return msgspec.structs.asdict(noun)


def noun_of(noun_class: type[N], body: dict[str, JSONValue]) -> N:
    """Return the record that `body` describes: every member, no other, each of its type. Raises ValueError."""
    try:
        return msgspec.convert(body, noun_class)
    except msgspec.ValidationError as problem:
        raise ValueError(str(problem)) from problem


class Form(Generic[T]):
    """The object form of one record class: its members are its fields, declared in the order of their names.

    RFC 8785 section 3.2.3 sorts members by name. A record class that declares its fields in that order already is its
    canonical object; nothing is looked up or sorted on the hot path.
    """

    __slots__ = ("names",)

    def __init__(self, record_class: type[T]) -> None:
        names = tuple(kinds_of(record_class))
        if names != tuple(sorted(names)):
            raise TypeError(f"{record_class.__name__} does not declare its fields in the order of their names")
        self.names = names

    def body(self, record: T) -> dict[str, JSONValue]:
        """Return a fresh dict of every field, members in canonical order."""
        if isinstance(record, Noun):
            return members(record)
        return attrs.asdict(record, recurse=False)  # type: ignore[arg-type]


def kinds_of(record_class: type[Any]) -> dict[str, Any]:
    """Return the type of each field by its name. Raises TypeError for a Noun of which a field may be missing."""
    if issubclass(record_class, Noun):
        fields = msgspec.structs.fields(record_class)
        if not all(field.required for field in fields):
            raise TypeError(f"{record_class.__name__} has a field that may be missing")
        return {field.name: field.type for field in fields}
    return {field.name: field.type for field in attrs.fields(attrs.resolve_types(record_class))}


class Sealed(Noun, Generic[T], frozen=True):
    """A record together with the names that its content earned it.

    An id names a content and is therefore not part of it: it is derived when the record is sealed and derived again
    by everyone who verifies. `json` is the canonical object: the fields, the id and the seal; b"" in a pack under
    verification, which has its bytes elsewhere.
    """

    content: T
    id: str
    hash: str
    json: bytes
    hashed: bytes = b""
    """The canonical bytes that `hash` is of; b"" where a record was read back and not made here."""
