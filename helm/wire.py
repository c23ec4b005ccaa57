"""JSON to contracts, strictly: unknown members, missing members and wrong types are refused with their place."""

from __future__ import annotations

from typing import Any, TypeVar, get_args, get_origin

import attrs
from cattrs import Converter, transform_error
from cattrs.errors import BaseValidationError
from cattrs.v import format_exception

from helm.contracts.errors import Invalid
from helm.contracts.form import Noun, noun_of

T = TypeVar("T")

_CONVERTER = Converter(forbid_extra_keys=True, detailed_validation=True)


def _exactly(kind: type[T]) -> Any:
    def structure(value: object, _: type[T]) -> T:
        if type(value) is not kind:
            raise TypeError(f"expected {kind.__name__}, not {type(value).__name__}")
        return value

    return structure


def _is_tuple(kind: Any) -> bool:
    return get_origin(kind) is tuple


def _tuple(value: object, annotation: Any) -> tuple[Any, ...]:
    if type(value) is not list:
        raise TypeError(f"expected an array, not {type(value).__name__}")
    items = get_args(annotation)
    if items[-1] is Ellipsis:
        return tuple(_CONVERTER.structure(item, items[0]) for item in value)
    if len(items) != len(value):
        raise ValueError(f"expected {len(items)} items, not {len(value)}")
    return tuple(_CONVERTER.structure(item, kind) for item, kind in zip(value, items, strict=True))


for _kind in (str, int, bool):
    _CONVERTER.register_structure_hook(_kind, _exactly(_kind))
_CONVERTER.register_structure_hook_func(_is_tuple, _tuple)


def _words_of(problem: BaseException, kind: type | None) -> str:
    """Return what the record's own class says of a value; the converter's words where it says nothing."""
    said = str(problem) if isinstance(problem, TypeError | ValueError) else ""
    return said or format_exception(problem, kind)


def _of_members(body: dict[str, Any], noun_class: type[Noun]) -> str:
    """Return what the members lack or have too much, "" where each is there and no other."""
    names = noun_class.__struct_fields__
    missing = [name for name in names if name not in body]
    if missing:
        return f"misses {', '.join(missing)}"
    spare = next((name for name in body if name not in names), None)
    return "" if spare is None else f"holds {spare!r}, which is no member of a {noun_class.__name__}"


def structure(body: object, record_class: type[T], where: str) -> T:
    """Return the record that `body` describes; raise Invalid naming `where` and every member that is wrong."""
    if type(body) is not dict:
        raise Invalid(f"expected an object, not {type(body).__name__}", where)
    if issubclass(record_class, Noun):
        try:
            return noun_of(record_class, body)
        except ValueError as problem:
            raise Invalid(_of_members(body, record_class) or f"{problem} @ {record_class.__name__}", where) from problem
    missing = [field.name for field in attrs.fields(record_class) if field.name not in body]  # type: ignore[arg-type]
    if missing:
        raise Invalid(f"misses {', '.join(missing)}", where)
    try:
        return _CONVERTER.structure(body, record_class)
    except (BaseValidationError, ValueError, TypeError) as problem:
        told = transform_error(problem, path=record_class.__name__, format_exception=_words_of)
        raise Invalid("; ".join(told), where) from problem
