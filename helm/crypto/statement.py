"""An in-toto statement: something is said of subjects, which are named by their digests (in-toto attestation, v1).

Only the frame is read here. What the predicate says, and whether its type is one that anybody asked for, is for
whoever believes it to check.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.canonical import parse
from helm.crypto.dsse import MAX_ENVELOPE_BYTES

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
STATEMENT: Final = "https://in-toto.io/Statement/v1"
STATEMENT_BEFORE: Final = "https://in-toto.io/Statement/v0.1"

MAX_SUBJECTS: Final = 4096
"""Most subjects of one statement: a large release has some hundreds of files (T4)."""

MAX_DIGESTS: Final = 16
"""Most digests of one subject (T4)."""

MAX_NAME: Final = 4096
"""Longest name of a subject, and longest URI of a type (T4)."""

HINT: Final = f"ask its maker for a statement of the type {STATEMENT}"


@attrs.frozen(kw_only=True)
class StatedSubject:
    """What a statement is about: a name for people, and digests by the name of their algorithm."""

    name: str
    digests: Mapping[str, str]


@attrs.frozen(kw_only=True)
class Statement:
    """A statement as it was read; whether anybody may be believed about it is another question."""

    subjects: tuple[StatedSubject, ...]
    predicate_type: str
    predicate: Mapping[str, Any] = attrs.field(repr=False)


def read_statement(payload: bytes) -> Statement:
    """Return the statement of an envelope's payload. Raises Malformed, and Invalid for what is no statement."""
    body = parse(payload, max_bytes=MAX_ENVELOPE_BYTES)
    if type(body) is not dict:
        raise odd("not an object")
    if body.get("_type") == STATEMENT_BEFORE:
        raise odd("a statement of v0.1, which is not read")
    if body.get("_type") != STATEMENT:
        raise odd("its _type is not that of an in-toto statement")
    if body.keys() != {"_type", "subject", "predicateType", "predicate"}:
        raise odd("its members are not _type, subject, predicateType and predicate alone")
    if type(body["predicate"]) is not dict:
        raise odd("its predicate is not an object")
    return Statement(
        subjects=subjects_of(body["subject"]),
        predicate_type=text_of(body["predicateType"], "predicateType"),
        predicate=MappingProxyType(body["predicate"]),
    )


def subjects_of(body: Any) -> tuple[StatedSubject, ...]:
    """Return the subjects of a statement. Raises Invalid."""
    if type(body) is not list or not 0 < len(body) <= MAX_SUBJECTS:
        raise odd(f"subject is not a list of 1 to {MAX_SUBJECTS}")
    return tuple(subject_of(one) for one in body)


def subject_of(body: Any) -> StatedSubject:
    """Return one subject, whose digests are what it is. Raises Invalid."""
    if type(body) is not dict:
        raise odd("a subject is not an object")
    digests = body.get("digest")
    if type(digests) is not dict or not 0 < len(digests) <= MAX_DIGESTS:
        raise odd(f"a subject has no digests, or more than {MAX_DIGESTS}")
    if not all(is_hexadecimal(one) for one in digests.values()):
        raise odd("a digest is not lower-case hexadecimal")
    name = body.get("name", "")
    if type(name) is not str or len(name) > MAX_NAME:
        raise odd(f"a subject's name is not a text of up to {MAX_NAME} characters")
    return StatedSubject(name=name, digests=MappingProxyType(digests))


def is_hexadecimal(digits: Any) -> bool:
    return type(digits) is str and digits != "" and not digits.strip("0123456789abcdef")


def text_of(value: Any, what: str) -> str:
    """Return a text that must be there. Raises Invalid."""
    if type(value) is not str or not 0 < len(value) <= MAX_NAME:
        raise odd(f"{what} is not a text of 1 to {MAX_NAME} characters")
    return value


def odd(what: str) -> Invalid:
    return Invalid(what, "in-toto statement", HINT)
