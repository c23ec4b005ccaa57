"""Reading a record back exactly: its very members, of its very types, without a converter's cost.

A log of a million receipts is read at every start, and to convert one call with cattrs costs as much as to check
its signature. So what is in the one canonical form is taken here in a few comparisons; whatever is not goes to
`helm.wire`, which complains with the place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar, get_args, get_origin

import attrs

from helm.contracts.errors import Invalid
from helm.wire import structure

T = TypeVar("T")
Thaw = Callable[[list[Any]], tuple[Any, ...]]


class Exact(Generic[T]):
    """One record class without slots, field validators or converters, as canonical JSON writes it."""

    def __init__(self, record_class: type[T]) -> None:
        attributes = attrs.fields(attrs.resolve_types(record_class))  # type: ignore[arg-type, type-var]
        fields = sorted(attributes, key=lambda field: field.name)
        if any(field.validator or field.converter for field in fields) or "__slots__" in vars(record_class):
            raise TypeError(f"{record_class.__name__} does more with a field than keep it")
        self._class = record_class
        self._check = getattr(record_class, "__attrs_post_init__", lambda record: None)
        self._names = [field.name for field in fields]
        self._kinds = [list if get_origin(field.type) is tuple else field.type for field in fields]
        self._thaws = [(field.name, thaw_of(field.type)) for field in fields if get_origin(field.type) is tuple]

    def read(self, body: object, where: str) -> T:
        """Return the record that `body` describes. Raises Invalid with every member that is wrong.

        Names and types being those of the class, its instance is filled at once: what attrs would generate does
        the same, field by field, at ten times the cost.
        """
        if type(body) is not dict or [*body] != self._names or [*map(type, body.values())] != self._kinds:
            return structure(body, self._class, where)
        record = self._class.__new__(self._class)
        members = vars(record)
        members.update(body)
        try:
            for name, thaw in self._thaws:
                members[name] = thaw(members[name])
            self._check(record)
        except (TypeError, ValueError) as problem:
            raise Invalid(str(problem), where) from problem
        return record


def thaw_of(kind: Any) -> Thaw:
    """Return what makes the tuple type `kind` of a JSON array, or raises TypeError."""
    items = get_args(kind)
    if get_origin(items[0]) is tuple:
        inner = thaw_of(items[0])
        return lambda array: tuple([inner(item) for item in array])
    kinds = [*items]
    if kinds[-1] is Ellipsis:
        return lambda array: checked(array, kinds[:1] * len(array))
    return lambda array: checked(array, kinds)


def checked(array: object, kinds: list[Any]) -> tuple[Any, ...]:
    """Return the array as a tuple. Raises TypeError unless its items are of these types, one by one."""
    if type(array) is not list or [*map(type, array)] != kinds:
        raise TypeError("an array holds items of another type or number")
    return tuple(array)
