"""Members of JSON objects that others wrote, each of the one kind that it must be."""

from __future__ import annotations

from typing import Any

from helm.contracts.errors import Invalid
from helm.crypto.numbers import MAX_SAFE
from helm.crypto.radix64 import from_base64


def an_object(value: Any, where: str, *, must: frozenset[str] = frozenset(), may: frozenset[str] | None = None) -> Any:
    """Return an object that has all of `must`, and nothing beyond `may` where that is given. Raises Invalid."""
    if type(value) is not dict:
        raise Invalid("not an object", where)
    missing = sorted(must - value.keys())
    if missing:
        raise Invalid(f"has no {missing[0]}", where)
    spare = sorted(value.keys() - must - may) if may is not None else []
    if spare:
        raise Invalid(f"has a member that is not known: {spare[0][:40]!r}", where)
    return value


def a_list(value: Any, where: str, *, at_most: int) -> list[Any]:
    """Return a list of bounded length. Raises Invalid."""
    if type(value) is not list or len(value) > at_most:
        raise Invalid(f"not a list of up to {at_most}", where)
    return value


def a_text(value: Any, where: str, *, at_most: int = 4096) -> str:
    """Return a text that is not empty, of bounded length. Raises Invalid."""
    if type(value) is not str or not 0 < len(value) <= at_most:
        raise Invalid(f"not a text of 1 to {at_most} characters", where)
    return value


def a_count(value: Any, where: str) -> int:
    """Return a whole number from 0 up, written as a number or, as protobuf does, as a text. Raises Invalid."""
    if type(value) is str and value.isascii() and value.isdigit() and str(int(value[:20])) == value:
        value = int(value)
    if type(value) is not int or not 0 <= value <= MAX_SAFE:
        raise Invalid("not a whole number from 0 up", where)
    return value


def some_bytes(value: Any, where: str, *, size: int | None = None) -> bytes:
    """Return the bytes of a text in base64. Raises Invalid."""
    if type(value) is not str:
        raise Invalid("not a text in base64", where)
    try:
        raw = from_base64(value)
    except ValueError as problem:
        raise Invalid(str(problem), where) from None
    return sized(raw, where, size)


def hex_bytes(value: Any, where: str, *, size: int | None = None) -> bytes:
    """Return the bytes of a text in lower-case hexadecimal. Raises Invalid."""
    if type(value) is not str or value.strip("0123456789abcdef") or len(value) % 2:
        raise Invalid("not lower-case hexadecimal", where)
    return sized(bytes.fromhex(value), where, size)


def sized(raw: bytes, where: str, size: int | None) -> bytes:
    if not raw or (size is not None and len(raw) != size):
        raise Invalid(f"{len(raw)} bytes, not {size if size is not None else 'one or more'}", where)
    return raw
