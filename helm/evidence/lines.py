"""JSON that HELM wrote, read back: one canonical text per value, or no value at all."""

from __future__ import annotations

from collections.abc import Iterator

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto.canonical import record_bytes, reread

EDITED = "it was edited, or written by something else"


def read_json(raw: bytes, where: str) -> dict[str, JSONValue]:
    """Return the object of canonical bytes. Raises Invalid where writing it again gives other bytes.

    That one comparison refuses blanks, doubled names, odd escapes and odd numbers. It does not refuse a
    fraction or a name outside ASCII: whoever reads an object's members refuses both.
    """
    try:
        body = reread(raw)
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
    """Yield each line and its place. Raises Invalid for a last line without its end."""
    if raw and not raw.endswith(b"\n"):
        raise Invalid("its last line is cut off", where, EDITED)
    for number, line in enumerate(raw.split(b"\n")[:-1], 1):
        yield line, f"{where} line {number}"


def write_lines(bodies: list[bytes]) -> bytes:
    """Return canonical objects as lines."""
    return b"".join([body + b"\n" for body in bodies])
