"""The one form of JSON: strict on the way in, RFC 8785 on the way out.

What is accepted here has canonical bytes, and those are accepted here again and give the same bytes. The fast
library writes only where it provably writes what the reference writes: names in ASCII, no fractions.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import msgspec
import orjson
import rfc8785

from helm.contracts.errors import Malformed
from helm.contracts.form import JSONValue, Noun, kinds_of
from helm.crypto import numbers, refusal

MAX_BYTES = 1024 * 1024
"""Most bytes of one document: what one caller may make us hold and hash (T4)."""

MAX_DEPTH = 64
"""Deepest nesting of one document: no tool needs more, and no reader's stack is spent on it (T4)."""

DEEPEST = 128
"""Deepest limit that may be asked for: half of what orjson writes, an eighth of Python's own stack."""

SORTED = orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER
SEALED = SORTED | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS

STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
"""One JSON string, closed or not: possessive and never failing, so that no input makes it look twice (T4)."""

STEP = {ord("["): 1, ord("{"): 1, ord("]"): -1, ord("}"): -1}
NOT_BRACKETS = bytes(set(range(256)) - STEP.keys())


class NotPlain(Exception):
    """The document needs the reference writer: it holds a fraction."""


def members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build one object. Raises ValueError where a name stands twice: readers differ on which counts (T2)."""
    built = dict(pairs)
    if len(built) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return built


def plain_number(token: str) -> int:
    """Return the whole number that `token` means. Raises NotPlain for a fraction, Unsafe."""
    value = numbers.number(token)
    if type(value) is not int:
        raise NotPlain
    return value


STRICT = json.JSONDecoder(
    object_pairs_hook=members,
    parse_int=numbers.integer,
    parse_float=numbers.number,
    parse_constant=numbers.constant,
)
PLAIN = json.JSONDecoder(
    object_pairs_hook=members,
    parse_int=numbers.integer,
    parse_float=plain_number,
    parse_constant=numbers.constant,
)


def parse(raw: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> JSONValue:
    """Return the value of one JSON document. Raises Malformed, naming the problem and the byte."""
    check_bounds(raw, max_bytes, max_depth)
    return decode(STRICT, raw)


def parse_canonical(raw: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> tuple[JSONValue, bytes]:
    """Return the value of one JSON document and its canonical bytes. Raises Malformed."""
    check_bounds(raw, max_bytes, max_depth)
    try:
        value = decode(PLAIN, raw)
    except NotPlain:
        value = decode(STRICT, raw)
    else:
        if raw.isascii() and b"\\u" not in raw:  # then every key is ASCII, and no surrogate can hide
            return value, sized(orjson.dumps(value, option=SORTED), max_bytes)
    return value, canonical(value, max_bytes=max_bytes, max_depth=max_depth)


def canonical(value: JSONValue, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> bytes:
    """Return the RFC 8785 bytes of a JSON value, also of one that was built in this process.

    Only dict with str keys, list, str, int, float, bool and None themselves are JSON values: a subclass, a
    tuple or a date may be written in more than one way. Raises Malformed, naming problem and JSON pointer.
    """
    if max_depth > DEEPEST:
        check_depth_limit(max_depth)
    try:
        plain = is_plain(value, max_bytes, max_depth)
        written = orjson.dumps(value, option=SORTED) if plain else rfc8785.dumps(value)
    except (ValueError, orjson.JSONEncodeError):
        raise refusal.of_value(value, max_bytes, max_depth) from None
    return sized(written, max_bytes)


def record_bytes(body: dict[str, JSONValue]) -> bytes:
    """Return the canonical bytes of a record of ours, which has ASCII names and no fractions by its class.

    For trusted input only: that is not checked.
    """
    return orjson.dumps(body, option=SEALED)


reread = orjson.loads
"""Return a fresh value of bytes that are canonical already."""


def no_fraction(token: str) -> float:
    """Raise ValueError: no record of ours holds a fraction."""
    raise ValueError(f"{token[:32]} is a fraction, where none can be")


reread_whole = msgspec.json.Decoder(float_hook=no_fraction).decode
"""Return a fresh value of bytes that are canonical already, and hold no fraction. Raises ValueError."""

fragment = orjson.Fragment
"""Canonical bytes that stand as they are, as one value inside a record that `record_bytes` writes."""

ordered_bytes = msgspec.json.Encoder().encode
"""Return the canonical bytes of a record of ours whose members stand in canonical order already.

A Noun that has a Form, or a dict that was written down in that order. For trusted input only: strings, whole numbers
within 2^53, true and false, and arrays and objects of those, which this library writes as RFC 8785 does.
"""

N = TypeVar("N", bound=Noun)


def reader_of(noun_class: type[N]) -> Callable[[bytes], N | None]:
    """Return a function from the canonical bytes of one record of this class to the record, None for any other bytes.

    One decode, and one comparison with the record written again: no other bytes mean the same record.
    """
    decode, values_of = msgspec.json.Decoder(noun_class).decode, msgspec.structs.astuple
    kinds = [*kinds_of(noun_class).values()]
    numbers_at = [at for at, kind in enumerate(kinds) if kind is int]
    others_at = [at for at, kind in enumerate(kinds) if kind is not int and kind not in WITHOUT_NUMBERS]

    def read(raw: bytes) -> N | None:
        try:
            noun = decode(raw)
        except ValueError:
            return None
        if ordered_bytes(noun) != raw:
            return None
        values = values_of(noun)
        for at in numbers_at:
            if not -MAX_SAFE <= values[at] <= MAX_SAFE:
                return None
        for at in others_at:
            if values[at] and not all_safe(values[at]):
                return None
        return noun

    return read


def all_safe(values: Iterable[Any]) -> bool:
    """Tell whether every whole number among these, and in the arrays among them, is within 2^53-1."""
    for value in values:
        if type(value) is int:
            if not -MAX_SAFE <= value <= MAX_SAFE:
                return False
        elif type(value) is tuple and not all_safe(value):
            return False
    return True


MAX_SAFE = numbers.MAX_SAFE
WITHOUT_NUMBERS = (str, bool, tuple[str, ...])

raw_value = msgspec.Raw
"""Canonical bytes that stand as they are, as one value inside a record that `ordered_bytes` writes."""


def insert_member(record: bytes, member: bytes, before: bytes) -> bytes:
    """Return canonical `record` with `member`, `,"name":value`, put in before the member that begins with `before`.

    `before` is `,"name":`. A quote inside a string is escaped, so it is found nowhere but where it is a name; the
    caller sees to it that no later member holds an object with such a name. It is looked for from the end, near which
    the records of the belt have what they earn. Raises ValueError where it is not found.
    """
    head, name, tail = record.rpartition(before)
    if not name:
        raise ValueError(f"the record has no member {before!r}")
    return b"".join((head, member, name, tail))


def cut_member(record: bytes, member: bytes) -> bytes:
    """Return canonical `record` without `member`, `,"name":value`: what `insert_member` undoes. Raises ValueError."""
    head, found, tail = record.partition(member)
    if not found:
        raise ValueError(f"the record has no member {member!r}")
    return head + tail


def check_bounds(raw: bytes, max_bytes: int, max_depth: int) -> None:
    """Raise Malformed for a document that is too long or too deep to be looked at."""
    if len(raw) > max_bytes:
        raise Malformed(f"{len(raw)} bytes, more than {max_bytes}", f"byte {max_bytes}")
    check_depth_limit(max_depth)
    if raw.count(b"[") + raw.count(b"{") > max_depth and is_deeper(raw, max_depth):
        raise refusal.of_depth(raw, max_depth)


def check_depth_limit(max_depth: int) -> None:
    if max_depth > DEEPEST:
        raise ValueError(f"a depth limit of {max_depth} is above {DEEPEST}, the deepest that is safe")


def is_deeper(raw: bytes, max_depth: int) -> bool:
    """Tell whether brackets outside strings ever nest deeper than `max_depth`, without recursion (T4)."""
    depth = 0
    for bracket in STRING.sub(b"", raw).translate(None, NOT_BRACKETS):
        depth += STEP[bracket]
        if depth > max_depth:
            return True
    return False


def decode(decoder: json.JSONDecoder, raw: bytes) -> JSONValue:
    """Read the whole of `raw` as one document within bounds. Raises Malformed, NotPlain."""
    try:
        body = str(raw, "utf-8").strip(" \t\n\r")
        value, end = decoder.raw_decode(body)
        if end != len(body):
            raise json.JSONDecodeError("Extra data", body, end)
        if has_surrogates(raw) and is_unpaired(value):
            raise ValueError("a lone surrogate")
    except ValueError as error:
        raise refusal.of_bytes(raw, error) from None
    return value


def has_surrogates(raw: bytes) -> bool:
    return b"\\ud" in raw or b"\\uD" in raw


def is_unpaired(value: JSONValue) -> bool:
    """Tell whether a string in `value` holds half a character, which has no UTF-8 (RFC 8785 3.2.2.2)."""
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return True
    return False


def sized(written: bytes, max_bytes: int) -> bytes:
    """Return `written`. Raises Malformed when it is too long to be read again: 1e15 grows when written."""
    if len(written) > max_bytes:
        raise Malformed(f"{len(written)} canonical bytes, more than {max_bytes}", f"byte {max_bytes}")
    return written


def is_plain(value: JSONValue, max_bytes: int, max_depth: int) -> bool:
    """Tell whether orjson writes `value` as RFC 8785 does. Raises ValueError for what is not acceptable.

    Level by level, with a budget: a list that holds itself, or one list held in many places, ends here (T4).
    """
    if type(value) is dict and max_depth > 0 and is_flat(value, max_bytes):
        return True
    plain, budget, depth, level = True, max_bytes, 0, [value]
    while level:
        below: list[JSONValue] = []
        for item in level:
            kind = type(item)
            if kind is str:
                budget -= len(item)
            elif kind is dict and depth < max_depth:
                plain &= names_are_ascii(item)
                below.extend(item.values())
            elif kind is list and depth < max_depth:
                below.extend(item)
            elif kind is float:
                numbers.check_double(item)
                plain = False
            elif kind not in SCALARS:
                raise ValueError("not a JSON value, or too deep")
        budget -= len(level)
        if budget < 0:
            raise ValueError("too large")
        level, depth = below, depth + 1
    return plain


def is_flat(members: dict[Any, JSONValue], budget: int) -> bool:
    """Tell whether an object holds plain names, and strings, whole numbers, true, false and null alone.

    Most arguments are such objects, and this is all that the levels would come to.
    """
    for name, item in members.items():
        kind = type(item)
        if kind is str:
            budget -= len(item)
        elif kind not in SCALARS:
            return False
        if type(name) is not str or not name.isascii():
            return False
    return budget > len(members)


SCALARS = frozenset({int, bool, type(None)})
"""Kinds that need no look of their own; both writers refuse an int beyond 2^53-1."""


def names_are_ascii(names: Iterable[Any]) -> bool:
    """Tell whether the names sort alike as bytes and as UTF-16 (RFC 8785 section 3.2.3).

    Raises ValueError for a name that is not a str.
    """
    ascii_only = True
    for name in names:
        if type(name) is not str:
            raise ValueError("a name is not a string")
        ascii_only &= name.isascii()
    return ascii_only
