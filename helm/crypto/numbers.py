"""Which JSON numbers mean the same to every reader.

JSON numbers are IEEE 754 doubles (RFC 8785 section 3.2.2.3, RFC 7493 section 2.2). An integer beyond 2^53-1
would be one number here and another in the next program that checks the receipt, so it is refused,
however it is written (T2).
"""

from __future__ import annotations

MAX_SAFE = 2**53 - 1

INTEGER_FORM_ENDS = 1e21
"""ECMAScript writes whole doubles below this bound as plain digits: they come back as integers."""

SAFE_DIGITS = 15
"""Tokens this short are within MAX_SAFE whatever their digits, sign included."""

LONGEST_INTEGER = len(str(-MAX_SAFE))
"""Longer tokens are refused before int() is asked: its cost grows with the square of their length (T4)."""

INFINITY = float("inf")


class Unsafe(ValueError):
    """A number that two readers may read differently."""


def integer(token: str) -> int:
    """Return the value of an integer token. Raises Unsafe beyond 2^53-1."""
    if len(token) <= SAFE_DIGITS:
        return int(token)
    if len(token) > LONGEST_INTEGER:
        raise Unsafe("an integer beyond 2^53-1")
    value = int(token)
    if not -MAX_SAFE <= value <= MAX_SAFE:
        raise Unsafe("an integer beyond 2^53-1")
    return value


def number(token: str) -> int | float:
    """Return the value of a token with a fraction or an exponent, as its canonical form would be read back.

    1.0, 1e0 and 1 have the same canonical bytes, so they are the same value here: what a policy looks at is
    what the hash covers and what is dispatched (T2). Raises Unsafe.
    """
    value = float(token)
    check_double(value)
    return int(value) if -MAX_SAFE <= value <= MAX_SAFE and value.is_integer() else value


def check_double(value: float) -> None:
    """Raise Unsafe for a double without a canonical form, or with one that would not be accepted again."""
    magnitude = abs(value)
    if not magnitude < INFINITY:
        raise Unsafe("a number that is not finite")
    if MAX_SAFE < magnitude < INTEGER_FORM_ENDS:
        raise Unsafe("an integer beyond 2^53-1")


def constant(token: str) -> float:
    """Refuse NaN, Infinity and -Infinity, which are not JSON (RFC 8259 section 6). Raises Unsafe."""
    raise Unsafe(f"{token}, which is not JSON")
