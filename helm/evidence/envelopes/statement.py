"""The statement: what every envelope says, that evidence with this native hash is this log's, and no more.

It has no time and no claim of its own, so that the same evidence under the same key makes the same envelope, and so
that nothing in an envelope can be believed instead of the evidence.
"""

from __future__ import annotations

from typing import Final

from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import Form, JSONValue, Noun
from helm.crypto.canonical import ordered_bytes, parse
from helm.evidence.trust_root import is_hash
from helm.wire import structure

VERSION: Final = "helm.evidence/1"

PACK: Final = "pack"
RECEIPT: Final = "receipt"
CHECKPOINT: Final = "checkpoint"
NATIVE_KINDS: Final = (PACK, RECEIPT, CHECKPOINT)

MAX_PAYLOAD_BYTES: Final = 16 * 1024
"""Longest payload that is looked at: names are within a record's bounds, the rest is hashes (T4)."""

MAX_DEPTH: Final = 8
"""A provenance predicate is five deep (T4)."""

MAX_NAME: Final = 256
"""Longest name of a tenant or session in a statement: no record holds a longer one (T4)."""


class EvidenceStatement(Noun, frozen=True, kw_only=True):
    """What is said of one piece of native evidence."""

    authoritative: bool
    """Always false: the evidence says whether it holds, its wrapping does not."""
    evidence_hash: str
    """SHA-256 of the evidence's bytes: of the pack's file, of the canonical receipt or checkpoint document."""
    evidence_kind: str
    evidence_root: str
    """By what the log itself names it: the pack's manifest hash, the receipt's hash, the checkpoint's hash."""
    key_id: str
    """The evidence key that signs this. It routes; it is never trusted."""
    log_id: str
    session_id: str
    """Of the one session that it is about; "" where it is about more, or none."""
    subject: str
    """The evidence's id."""
    tenant: str
    """Whose it is; "" where it is about more than one, or the whole log."""
    version: str

    def __post_init__(self) -> None:
        if self.authoritative or self.version != VERSION or self.evidence_kind not in NATIVE_KINDS:
            raise ValueError(
                "a statement claims no authority, and speaks of evidence that there is, in its own version"
            )
        if not all(map(is_hash, (self.evidence_hash, self.evidence_root, self.log_id))):
            raise ValueError("a statement names evidence, root and log by their hashes")
        if max(map(len, (self.key_id, self.session_id, self.subject, self.tenant))) > MAX_NAME:
            raise ValueError(f"a name in a statement has at most {MAX_NAME} characters")


STATEMENT: Final = Form(EvidenceStatement)


def written(statement: EvidenceStatement) -> bytes:
    """Return a statement's one form: its canonical bytes."""
    return ordered_bytes(statement)


def read_payload(raw: bytes, where: str) -> dict[str, JSONValue]:
    """Return the object in a payload, every name once, within bounds. Raises Invalid."""
    try:
        body = parse(raw, max_bytes=MAX_PAYLOAD_BYTES, max_depth=MAX_DEPTH)
    except Malformed as problem:
        raise Invalid(f"the payload cannot be read in one way: {problem}", where) from problem
    if type(body) is not dict:
        raise Invalid("the payload is no object", where)
    return body


def read_statement(body: JSONValue, where: str) -> EvidenceStatement:
    """Return the statement that an object is: every member, and no other. Raises Invalid."""
    return structure(body, EvidenceStatement, where)
