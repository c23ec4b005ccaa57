"""CBOR in its deterministic form, as far as COSE needs it (RFC 8949 section 4.2.1).

Whole numbers, bytes, texts, arrays, maps, tags. What was written in another way than we write it is refused, so what
is read is written again as the same bytes: no second form of a signed statement exists.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from helm.evidence.envelopes.parted import odd

UNSIGNED, NEGATIVE, BYTES, TEXT, ARRAY, MAP, TAG = range(7)
"""The major types (RFC 8949 section 3.1)."""

MAX_DEPTH: Final = 6
"""Deepest nesting: a tag, an array, and claims in a header are three (T4)."""

WIDTHS: Final = {24: 1, 25: 2, 26: 4, 27: 8}
"""How many bytes of argument follow the first."""


@attrs.frozen
class Tagged:
    """A value under a tag."""

    tag: int
    value: Any


def encode(value: Any) -> bytes:
    """Return the deterministic bytes of a value. Raises TypeError for a kind that is not spoken here."""
    match value:
        case bool():
            raise TypeError("no simple values are spoken here")
        case int():
            return head(UNSIGNED, value) if value >= 0 else head(NEGATIVE, -1 - value)
        case bytes():
            return head(BYTES, len(value)) + value
        case str():
            return head(TEXT, len(value.encode())) + value.encode()
        case list():
            return head(ARRAY, len(value)) + b"".join(map(encode, value))
        case dict():
            pairs = sorted((encode(name), encode(item)) for name, item in value.items())
            return head(MAP, len(value)) + b"".join(name + item for name, item in pairs)
        case Tagged():
            return head(TAG, value.tag) + encode(value.value)
        case _:
            raise TypeError(f"{type(value).__name__} is not spoken here")


def head(major: int, argument: int) -> bytes:
    """Return the shortest head of an item."""
    if argument < 24:
        return bytes([major << 5 | argument])
    for info, width in WIDTHS.items():
        if argument < 1 << 8 * width:
            return bytes([major << 5 | info]) + argument.to_bytes(width, "big")
    raise TypeError("a number of more than 64 bits")


def decode(raw: bytes) -> Any:
    """Return the value of these bytes, which are all of it and in its one form. Raises Invalid."""
    value, _ = item(raw, 0, MAX_DEPTH)
    if encode(value) != raw:  # names out of order or doubled, heads that are too long, bytes behind the end
        raise odd("CBOR that is not in its deterministic form, or goes on behind its end")
    return value


def item(raw: bytes, at: int, depth: int) -> tuple[Any, int]:
    """Return the item that begins at `at`, and where it ends. Raises Invalid."""
    if depth == 0:
        raise odd(f"CBOR deeper than {MAX_DEPTH}")
    major, argument, at = read_head(raw, at)
    match major:
        case 0:
            return argument, at
        case 1:
            return -1 - argument, at
        case 2:
            return take(raw, at, argument)
        case 3:
            return text(raw, at, argument)
        case 4:
            return array(raw, at, argument, depth)
        case 5:
            return members(raw, at, argument, depth)
        case 6:
            value, at = item(raw, at, depth - 1)
            return Tagged(argument, value), at
        case _:
            raise odd("CBOR of a kind that no envelope has")


def read_head(raw: bytes, at: int) -> tuple[int, int, int]:
    """Return major type and argument of the head at `at`, and where it ends. Raises Invalid."""
    first, at = take(raw, at, 1)
    major, info = first[0] >> 5, first[0] & 0x1F
    if info < 24:
        return major, info, at
    if info not in WIDTHS:
        raise odd("CBOR of indefinite length, or with a head that means nothing")
    argument, at = take(raw, at, WIDTHS[info])
    return major, int.from_bytes(argument, "big"), at


def take(raw: bytes, at: int, size: int) -> tuple[bytes, int]:
    """Return `size` bytes from `at` on, and where they end. Raises Invalid where there are fewer."""
    if size > len(raw) - at:
        raise odd("CBOR that is cut off")
    return raw[at : at + size], at + size


def text(raw: bytes, at: int, size: int) -> tuple[str, int]:
    found, at = take(raw, at, size)
    try:
        return found.decode("utf-8"), at
    except UnicodeDecodeError as problem:
        raise odd("a text in CBOR that is not UTF-8") from problem


def array(raw: bytes, at: int, size: int, depth: int) -> tuple[list[Any], int]:
    found = []
    for _ in range(size):  # every item takes a byte at least: a size that lies ends with the input
        value, at = item(raw, at, depth - 1)
        found.append(value)
    return found, at


def members(raw: bytes, at: int, size: int, depth: int) -> tuple[dict[Any, Any], int]:
    found: dict[Any, Any] = {}
    for _ in range(size):
        name, at = item(raw, at, depth - 1)
        if type(name) not in (int, str):
            raise odd("a name in a map that is neither number nor text")
        found[name], at = item(raw, at, depth - 1)
    return found, at
