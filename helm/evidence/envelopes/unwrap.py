"""Unwrapping: which kind of envelope some bytes are, by their form alone, and what stands in it."""

from __future__ import annotations

from typing import Final

from helm.contracts.errors import Malformed
from helm.crypto.canonical import parse
from helm.evidence.envelopes import cose, dsse, in_toto, jws, sigstore
from helm.evidence.envelopes.kinds import EnvelopeKind
from helm.evidence.envelopes.parted import OWN_TYPE, WHERE, Parted, odd
from helm.evidence.envelopes.statement import EvidenceStatement, read_payload, read_statement, written

MAX_ENVELOPE_BYTES: Final = 64 * 1024
"""Longest envelope that is looked at: the longest payload in base64, twice over (T4)."""

MAX_DEPTH: Final = 8
"""Deepest JSON of an envelope: a bundle's is four deep (T4)."""

SIGN1_HEAD: Final = b"\xd2"
"""How a tagged COSE_Sign1 begins."""


def unwrap(raw: bytes) -> Parted:
    """Return what stands in an envelope, nothing of it believed. Raises Invalid for what is none."""
    if len(raw) > MAX_ENVELOPE_BYTES:
        raise odd(f"{len(raw)} bytes, more than {MAX_ENVELOPE_BYTES}")
    if raw[:1] == SIGN1_HEAD:
        return cose.take_apart(raw)
    if raw.lstrip()[:1] != b"{":
        return jws.take_apart(raw)
    try:
        body = parse(raw, max_bytes=MAX_ENVELOPE_BYTES, max_depth=MAX_DEPTH)
    except Malformed as problem:
        raise odd(f"it cannot be read in one way: {problem}") from problem
    return sigstore.take_apart(body) if "mediaType" in body else dsse.take_apart(body)


def statement_of(parted: Parted) -> EvidenceStatement:
    """Return the statement in a payload, which is in the one form of its kind. Raises Invalid."""
    if parted.payload_type != OWN_TYPE:
        statement = in_toto.statement_in(parted.payload, WHERE)
        if parted.kind is EnvelopeKind.SIGSTORE and parted.payload != in_toto.in_toto(statement):
            raise odd("a bundle carries the evidence predicate, and no other")
        return statement
    statement = read_statement(read_payload(parted.payload, WHERE), WHERE)
    if written(statement) != parted.payload:
        raise odd("its statement is not in its one form")
    cose.check_claims(parted, statement, WHERE)
    return statement
