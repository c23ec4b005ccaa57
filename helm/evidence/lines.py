"""JSON that HELM wrote, read back: one canonical text per value, or no value at all."""

from __future__ import annotations

from collections.abc import Iterator

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto.canonical import MAX_DEPTH, is_deeper, record_bytes, reread_whole

EDITED = "it was edited, or written by something else"


def read_json(raw: bytes, where: str, *, max_depth: int = MAX_DEPTH) -> dict[str, JSONValue]:
    """Return the object of canonical bytes. Raises Invalid where writing it again gives other bytes.

    That one comparison refuses blanks, doubled names, odd escapes and odd numbers. Fractions and what is nested
    deeper than any record are refused too, or three verifiers would stumble over them in three places (T2). A name
    outside ASCII is not: whoever reads an object's members refuses it.
    """
    if raw.count(b"[") + raw.count(b"{") > max_depth and is_deeper(raw, max_depth):
        raise Invalid(f"is nested deeper than {max_depth}", where, EDITED)
    try:
        body = reread_whole(raw)
        is_canonical = type(body) is dict and record_bytes(body) == raw
    except (ValueError, TypeError) as problem:
        raise Invalid(f"is not JSON: {problem}", where, EDITED) from problem
    if not is_canonical:
        raise Invalid("is not one canonical object", where, EDITED)
    return body  # type: ignore[no-any-return]


def read_lines(raw: bytes, where: str) -> Iterator[tuple[dict[str, JSONValue], str]]:
    """Yield each line's object and its place. Raises Invalid, also for a last line without its end."""
    for line, place in split_lines(raw, where):
        yield read_json(line, place), place


def split_lines(raw: bytes, where: str) -> Iterator[tuple[bytes, str]]:
    """Yield each line and its place. Raises Invalid for a last line without its end.

    A line is cut out when it is asked for: a file may be nothing but the ends of millions of lines (T4).
    """
    if raw and not raw.endswith(b"\n"):
        raise Invalid("its last line is cut off", where, EDITED)
    start = number = 0
    while start < len(raw):
        end, number = raw.index(b"\n", start), number + 1
        yield raw[start:end], f"{where} line {number}"
        start = end + 1


def write_lines(bodies: list[bytes]) -> bytes:
    """Return canonical objects as lines."""
    return b"".join([body + b"\n" for body in bodies])
