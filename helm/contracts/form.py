"""How a record becomes a JSON object: every field, by name, in canonical order.

RFC 8785 section 3.2.3 sorts members by name; the order is fixed once per class here, so that the hot path neither
sorts nor looks anything up by a computed name.
"""

from __future__ import annotations

from operator import attrgetter
from typing import Any, Generic, TypeVar

import attrs

JSONValue = Any
"""dict[str, JSONValue] | list[JSONValue] | str | int | float | bool | None, as `canonical.parse` yields it."""

T = TypeVar("T")


class Form(Generic[T]):
    """The object form of one attrs record class."""

    __slots__ = ("_values", "names")

    def __init__(self, record_class: type[T]) -> None:
        fields = attrs.fields(record_class)  # type: ignore[misc]
        self.names: tuple[str, ...] = tuple(sorted(field.name for field in fields))
        self._values = attrgetter(*self.names)

    def body(self, record: T) -> dict[str, JSONValue]:
        """Return a fresh dict of every field, members in canonical order."""
        return dict(zip(self.names, self._values(record), strict=False))


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
