"""How a record becomes a JSON object: every field, by name, in canonical order.

This is the one place that reads a record as a whole.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import attrs

JSONValue = Any
"""dict[str, JSONValue] | list[JSONValue] | str | int | float | bool | None, as `canonical.parse` yields it."""

T = TypeVar("T")


class Form(Generic[T]):
    """The object form of one record class: its members are its fields, declared in the order of their names.

    RFC 8785 section 3.2.3 sorts members by name. A record class that declares its fields in that order, without
    slots, already is its canonical object; nothing is looked up or sorted on the hot path.
    """

    __slots__ = ("names",)

    def __init__(self, record_class: type[T]) -> None:
        names = tuple(field.name for field in attrs.fields(record_class))  # type: ignore[arg-type]
        if names != tuple(sorted(names)):
            raise TypeError(f"{record_class.__name__} does not declare its fields in the order of their names")
        if "__slots__" in vars(record_class):
            raise TypeError(f"{record_class.__name__} has slots: declare it with slots=False")
        self.names = names

    def members(self, record: T) -> dict[str, JSONValue]:
        """Return the record's own members, in canonical order: to be read, never to be changed or kept."""
        return vars(record)

    def body(self, record: T) -> dict[str, JSONValue]:
        """Return a fresh dict of every field, members in canonical order."""
        return vars(record).copy()


@attrs.frozen(slots=True)
class Sealed(Generic[T]):
    """A record together with the names that its content earned it.

    An id names a content and is therefore not part of it: it is derived when the record is sealed and derived again
    by everyone who verifies. `json` is the canonical object: the fields, the id and the seal.
    """

    content: T
    id: str
    hash: str
    json: bytes = attrs.field(repr=False)
    hashed: bytes = attrs.field(default=b"", repr=False)
    """The canonical bytes that `hash` is of; b"" where a record was read back and not made here."""
