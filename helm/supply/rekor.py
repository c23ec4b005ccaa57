"""Verifying offline that a transparency log holds an entry, and that it is about what the caller holds.

1. entry       the entry and its proof can be read in one way only
2. body        the entry's body is a record of a known type, in the shape of its version
3. log         the entry names the log that the caller trusts
4. checkpoint  that log's key signed the checkpoint, under that log's name
5. head        the proof claims the size and the root that the checkpoint has
6. inclusion   the body is a leaf of that tree
7. timestamp   the log's signed entry timestamp, where there is one, is over this entry
8. subject     the entry is about the artifact or the envelope that the caller hands over

A log says what was shown to it, and nothing of whether it is good: whose key signed an entry is another question.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto.canonical import canonical
from helm.crypto.dsse import Envelope
from helm.crypto.ed25519 import SignatureInvalid
from helm.crypto.hashing import PREFIX, digest
from helm.crypto.radix64 import to_base64
from helm.crypto.statement import read_statement
from helm.proofgraph.merkle import Head, ProofInvalid, leaf_hash, verify_inclusion
from helm.supply.findings import Checks, Findings, examine
from helm.supply.log_body import Logged, read_logged
from helm.supply.log_checkpoint import Log, read_checkpoint
from helm.supply.log_entry import MAX_FILE_BYTES, LogEntry, read_entry
from helm.supply.outside_key import OutsideKey

ANOTHER: Final = "the entry is about something else: get the one of what you hold"


@attrs.define(kw_only=True)
class LogReading:
    """What is looked at, and what the checks have read of it so far."""

    raw: bytes = attrs.field(repr=False)
    log: Log
    artifact: bytes | None = None
    """The SHA-256 of the artifact that the entry must be about."""
    envelope: Envelope | None = None
    """The envelope that the entry must be about; a bundle may bring its own."""
    signer: OutsideKey | None = None
    """The key under which it must have been logged, where the caller knows it."""
    entry: LogEntry = attrs.field(init=False)
    logged: Logged = attrs.field(init=False)
    head: Head = attrs.field(init=False)


def verify_log_entry(reading: LogReading) -> Findings:
    """Make every check, in order. Never raises for what is in the entry."""
    return examine(CHECKS, reading, established)


def check_entry(reading: LogReading) -> None:
    """The entry and its proof can be read in one way only."""
    reading.entry = read_entry(reading.raw)


def check_body(reading: LogReading) -> None:
    """The entry's body is a record of a known type, in the shape of its version."""
    reading.logged = read_logged(reading.entry.body)
    said = reading.entry.kind_version
    if said is not None and said != (reading.logged.kind, reading.logged.version):
        raise Invalid(f"the body is no {said[0]} {said[1]}, as it is said to be", "kindVersion")


def check_log(reading: LogReading) -> None:
    """The entry names the log that the caller trusts."""
    if reading.entry.log_id not in reading.log.ids:
        raise Invalid("an entry of another log than the key you gave is of", "log id", "is this the log's key?")


def check_checkpoint(reading: LogReading) -> None:
    """That log's key signed the checkpoint, under that log's name."""
    reading.head = read_checkpoint(reading.entry.proof.checkpoint, reading.log)


def check_head(reading: LogReading) -> None:
    """The proof claims the size and the root that the checkpoint has."""
    proof, head = reading.entry.proof, reading.head
    if proof.size != head.size:
        raise Invalid(f"a proof for {proof.size} leaves, and a checkpoint over {head.size}", "inclusionProof")
    if proof.root != head.root:
        raise Invalid("a proof for another root than the checkpoint's", "inclusionProof")


def check_inclusion(reading: LogReading) -> None:
    """The body is a leaf of that tree."""
    proof = reading.entry.proof
    try:
        verify_inclusion(leaf_hash(reading.entry.body), proof.index, proof.hashes, reading.head)
    except ProofInvalid as problem:
        raise Invalid(str(problem), "inclusionProof", "ask the log for the entry and its proof again") from None


def check_timestamp(reading: LogReading) -> None:
    """The log's signed entry timestamp, where there is one, is over this entry."""
    entry = reading.entry
    if entry.timestamp is None:
        return
    try:
        reading.log.key.verify(promised(entry), entry.timestamp)
    except SignatureInvalid as problem:
        raise Invalid(str(problem), "signedEntryTimestamp", "body, time or index are not what the log signed") from None


def promised(entry: LogEntry) -> bytes:
    """Return what a signed entry timestamp is over (Rekor, "Signed Entry Timestamp")."""
    said: dict[str, Any] = {
        "body": to_base64(entry.body),
        "integratedTime": entry.integrated_at_s,
        "logID": entry.log_id.hex(),
        "logIndex": entry.log_index,
    }
    return canonical(said, max_bytes=2 * MAX_FILE_BYTES)


def check_subject(reading: LogReading) -> None:
    """The entry is about the artifact or the envelope that the caller hands over."""
    check_signer(reading)
    content, envelope = reading.entry.content, reading.envelope
    if content is not None:
        envelope = envelope_beside(content.envelope, envelope)
        check_bundled(reading)
    if envelope is not None:
        check_about_envelope(reading.logged, envelope)
        check_stated(reading.artifact, envelope)
    else:
        check_about_artifact(reading.logged, reading.artifact)


def check_signer(reading: LogReading) -> None:
    """Raise Invalid unless every signature of the entry was logged under the key that the caller knows."""
    signer = reading.signer
    if signer is not None and any(one.verifier != signer.der for one in reading.logged.signatures):
        raise Invalid("logged under another key than the signer's", "entry", "is this the signer's key?")


def envelope_beside(bundled: Envelope | None, handed: Envelope | None) -> Envelope | None:
    """Return the envelope that a bundle brings or the caller hands over. Raises Invalid where these are two."""
    if bundled is not None and handed is not None and bundled != handed:
        raise Invalid("the bundle brings another envelope than the one you hand over", "dsseEnvelope", ANOTHER)
    return handed if bundled is None else bundled


def check_bundled(reading: LogReading) -> None:
    """Raise Invalid unless signature and certificate of a bundle are those of its entry."""
    content, logged = reading.entry.content, reading.logged
    if content is None:
        return
    if content.signature is not None and [one.raw for one in logged.signatures] != [content.signature]:
        raise Invalid("the bundle's signature is not the entry's", "messageSignature", ANOTHER)
    if content.digest_hint is not None and content.digest_hint != reading.artifact:
        raise Invalid("the bundle's digest is not the artifact's", "messageDigest", ANOTHER)
    if content.certificate is not None and any(one.verifier != content.certificate for one in logged.signatures):
        raise Invalid("the bundle's certificate is not the entry's", "verificationMaterial", ANOTHER)


def check_about_envelope(logged: Logged, envelope: Envelope) -> None:
    """Raise Invalid unless an entry is about this envelope: its payload, and every signature on it."""
    signed = envelope.payload if logged.of_payload else envelope.signed_bytes
    if digest(signed) != logged.digest:
        raise Invalid("the entry is not over this envelope", "envelope", ANOTHER)
    if sorted(one.raw for one in envelope.signatures) != sorted(one.raw for one in logged.signatures):
        raise Invalid("the entry's signatures are not the envelope's", "envelope", ANOTHER)


def check_stated(artifact: bytes | None, envelope: Envelope) -> None:
    """Raise Invalid unless an artifact that was handed over is a subject of the envelope's statement."""
    if artifact is None:
        return
    subjects = read_statement(envelope.payload).subjects
    if artifact.hex() not in {one.digests.get("sha256") for one in subjects}:
        raise Invalid("the artifact is no subject of the statement", "envelope", ANOTHER)


def check_about_artifact(logged: Logged, artifact: bytes | None) -> None:
    """Raise Invalid unless an entry is about an artifact that was handed over."""
    if artifact is None:
        raise Invalid(
            "nothing was handed over that the entry could be about", "artifact", "give the artifact or envelope"
        )
    if logged.of_payload:
        raise Invalid(f"a record {logged.kind} is about an envelope", "envelope", "hand over the envelope")
    if logged.digest != artifact:
        raise Invalid("the entry is not over this artifact", "artifact", ANOTHER)


def established(reading: LogReading) -> Mapping[str, JSONValue]:
    """Return what an entry that was verified proves."""
    entry, logged = reading.entry, reading.logged
    return {
        "digest": PREFIX + logged.digest.hex(),
        "integrated_at_s": entry.integrated_at_s if entry.timestamp is not None else 0,
        "kind": f"{logged.kind} {logged.version}",
        "log": reading.log.name,
        "log_index": entry.log_index,
        "root": PREFIX + reading.head.root.hex(),
        "tree_size": reading.head.size,
    }


CHECKS: Final[Checks[LogReading]] = (
    ("entry", check_entry),
    ("body", check_body),
    ("log", check_log),
    ("checkpoint", check_checkpoint),
    ("head", check_head),
    ("inclusion", check_inclusion),
    ("timestamp", check_timestamp),
    ("subject", check_subject),
)
