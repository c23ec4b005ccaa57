"""The manifest of an envelope: what it is about, by hashes alone; sealed, and no authority either."""

from __future__ import annotations

import re
from typing import Final

from helm.contracts.errors import Invalid
from helm.contracts.form import Form, JSONValue, Noun
from helm.crypto import domains
from helm.crypto.canonical import ordered_bytes
from helm.crypto.hashing import content_id, hash_in, sha256
from helm.evidence.envelopes.kinds import EnvelopeKind
from helm.evidence.envelopes.statement import EvidenceStatement, written
from helm.evidence.envelopes.wrap import Envelope
from helm.evidence.unseal import EDITED, unsealed
from helm.wire import structure

ENVELOPE_ID: Final = "env_"
NAME: Final = re.compile(r"env_[0-9a-f]{32}")
MOMENT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z")
WHERE: Final = "manifest"


class EnvelopeManifest(Noun, frozen=True, kw_only=True):
    """What is kept beside an envelope. Its manifest_hash covers every member but itself."""

    created_at: str
    """When it was made, as whoever made it says: RFC 3339 in UTC, to the millisecond."""
    envelope: str
    """Its kind."""
    manifest_id: str
    """After the hash of the envelope's own bytes."""
    native_authority: bool
    """Always true: whether the evidence holds, it says itself."""
    native_evidence_hash: str
    payload_hash: str
    """SHA-256 of the bytes that the envelope carries."""
    payload_type: str
    statement_hash: str
    """SHA-256 of the statement in it: the same in every kind of envelope."""
    subject: str
    """The id of the evidence."""

    def __post_init__(self) -> None:
        if not self.native_authority:
            raise ValueError("the native evidence is the authority")
        if self.envelope not in set(EnvelopeKind) or not MOMENT.fullmatch(self.created_at):
            raise ValueError("a kind of envelope that there is, and a moment like 2026-11-21T09:30:00.000Z")


ENVELOPE_MANIFEST: Final = Form(EnvelopeManifest)


def manifest_of(envelope: Envelope, created_at: str) -> dict[str, JSONValue]:
    """Return the sealed manifest of an envelope."""
    said = facts_of(envelope.raw, envelope.kind, envelope.payload_type, envelope.payload, envelope.statement)
    return seal(EnvelopeManifest(created_at=created_at, native_authority=True, **said))


def facts_of(
    raw: bytes, kind: EnvelopeKind, payload_type: str, payload: bytes, statement: EvidenceStatement
) -> dict[str, str]:
    """Return every member that follows from the envelope alone."""
    return {
        "envelope": kind.value,
        "manifest_id": content_id(ENVELOPE_ID, sha256(raw)),
        "native_evidence_hash": statement.evidence_hash,
        "payload_hash": sha256(payload),
        "payload_type": payload_type,
        "statement_hash": sha256(written(statement)),
        "subject": statement.subject,
    }


def seal(manifest: EnvelopeManifest) -> dict[str, JSONValue]:
    """Return a manifest with its hash, HELM/EnvelopeManifest/v1."""
    manifest_hash = hash_in(domains.ENVELOPE_MANIFEST, ordered_bytes(manifest))
    return ENVELOPE_MANIFEST.body(manifest) | {"manifest_hash": manifest_hash}


def unseal(body: object) -> EnvelopeManifest:
    """Return the manifest of a sealed object. Raises Invalid unless it hashes to its manifest_hash."""
    manifest = structure(unsealed(body, ("manifest_hash",), WHERE), EnvelopeManifest, WHERE)
    if seal(manifest) != body:
        raise Invalid("it does not hash to its manifest_hash", WHERE, EDITED)
    return manifest


def check_of(manifest: EnvelopeManifest, facts: dict[str, str]) -> None:
    """Raise Invalid, naming the member, unless a manifest is of the envelope that these facts follow from."""
    body = ENVELOPE_MANIFEST.body(manifest)
    for name, fact in facts.items():
        if body[name] != fact:
            raise Invalid(f"its {name} is not the envelope's", WHERE, "it is another envelope's manifest")
