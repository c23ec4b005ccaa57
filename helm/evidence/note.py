"""A checkpoint as a C2SP signed note: what public log tools and witnesses read.

The note is about the tree over the receipts. Its extension line names the checkpoint by its hash, so that a signature
under the note is one over all that the checkpoint says. https://c2sp.org/tlog-checkpoint, /signed-note and
/tlog-cosignature.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.domains import CHECKPOINT_NOTE, COSIGNATURE, KeyPurpose
from helm.crypto.ed25519 import SIGNATURE_BYTES, PublicKey, SignatureInvalid
from helm.crypto.hashing import PREFIX, digest
from helm.proofgraph.checkpoint import VERSION, Checkpoint, hash_of
from helm.trust.registry import Registry

ED25519: Final = b"\x01"
TIMESTAMPED: Final = b"\x04"
"""Signature types of the two specifications: a log's own, and a witness's with its time."""

KEY_ID_BYTES: Final = 4
TIME_BYTES: Final = 8
DASH: Final = "\u2014 "

MAX_NOTE_BYTES: Final = 64 * 1024
"""Longest note that is looked at: a checkpoint and some hundred witnesses (T4)."""

MAX_SIGNATURES: Final = 64
"""Most lines of signatures in a note; the specification asks for 16 at least (T4)."""

MAX_NAME: Final = 255
"""Longest name of a witness (T4)."""


@attrs.frozen(kw_only=True)
class Line:
    """One line of signature: who, which key as a hint, and what was signed."""

    name: str
    key_id: bytes
    raw: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Note:
    """A note that was read; no signature is checked yet."""

    text: str
    lines: tuple[Line, ...]


@attrs.frozen(kw_only=True)
class Cosignature:
    """What a witness signed, and when by its own clock."""

    name: str
    at_s: int
    signature: str


def origin_of(log_id: str, shard: str) -> str:
    """Return the name of a log among all logs: the first line of its notes, and the name of its key in them."""
    return f"{CHECKPOINT_NOTE.decode()}{log_id.removeprefix(PREFIX)}/{shard}"


def note_text(checkpoint: Checkpoint) -> str:
    """Return the text of a checkpoint's note, which is what is signed."""
    root = base64.b64encode(bytes.fromhex(checkpoint.receipts_root.removeprefix(PREFIX))).decode()
    origin = origin_of(checkpoint.log_id, checkpoint.shard)
    return f"{origin}\n{checkpoint.receipts_size}\n{root}\n{VERSION} {hash_of(checkpoint)}\n"


def said_in_note(checkpoint: Checkpoint) -> bytes:
    """Return what is signed behind the context CHECKPOINT_NOTE, with which the text begins."""
    return note_text(checkpoint).encode()[len(CHECKPOINT_NOTE) :]


def key_hint(name: str, kind: bytes, public_key: bytes) -> bytes:
    """Return the four bytes that tell keys apart in a note. They are never trusted."""
    return digest(name.encode() + b"\n" + kind + public_key)[:KEY_ID_BYTES]


def verifier_key(name: str, public_key: str, kind: bytes = ED25519) -> str:
    """Return a key as tools of others take it: NAME+HINT+KEY."""
    raw = bytes.fromhex(public_key)
    return f"{name}+{key_hint(name, kind, raw).hex()}+{base64.b64encode(kind + raw).decode()}"


def log_line(checkpoint: Checkpoint, public_key: str, note_signature: str) -> str:
    """Return the log's own line of signature."""
    name = origin_of(checkpoint.log_id, checkpoint.shard)
    return written_line(name, key_hint(name, ED25519, bytes.fromhex(public_key)) + bytes.fromhex(note_signature))


def witness_line(cosignature: Cosignature, public_key: str) -> str:
    """Return a witness's line of signature."""
    hint = key_hint(cosignature.name, TIMESTAMPED, bytes.fromhex(public_key))
    stamped = cosignature.at_s.to_bytes(TIME_BYTES, "big") + bytes.fromhex(cosignature.signature)
    return written_line(cosignature.name, hint + stamped)


def written_line(name: str, raw: bytes) -> str:
    return f"{DASH}{name} {base64.b64encode(raw).decode()}\n"


def read_note(raw: bytes) -> Note:
    """Return the note of these bytes. Raises Invalid for what is none."""
    if len(raw) > MAX_NOTE_BYTES:
        raise odd(f"{len(raw)} bytes, more than {MAX_NOTE_BYTES}")
    try:
        whole = raw.decode("utf-8")
    except UnicodeDecodeError as problem:
        raise odd("not UTF-8") from problem
    text, blank, below = whole.rpartition("\n\n")
    if not blank or not below.endswith("\n") or any(sign < " " and sign != "\n" for sign in whole):
        raise odd("not a text, an empty line, and lines of signatures")
    lines = below[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise odd(f"{len(lines)} signatures, more than {MAX_SIGNATURES}")
    return Note(text=text + "\n", lines=tuple(read_line(line) for line in lines))


def read_line(line: str) -> Line:
    """Return one line of signature. Raises Invalid."""
    name, space, written = line.removeprefix(DASH).partition(" ")
    check_witness_name(name)
    try:
        raw = base64.b64decode(written, validate=True)
    except (binascii.Error, ValueError) as problem:
        raise odd("a signature that is not base64") from problem
    if not line.startswith(DASH) or not space or len(raw) <= KEY_ID_BYTES:
        raise odd("a line that is no signature")
    return Line(name=name, key_id=raw[:KEY_ID_BYTES], raw=raw[KEY_ID_BYTES:])


def check_witness_name(name: str) -> None:
    """Raise Invalid for a name that no line of signature can carry."""
    if not 0 < len(name) <= MAX_NAME or "+" in name or any(sign.isspace() or not sign.isprintable() for sign in name):
        raise odd(f"{name[:40]!r} is not the name of a key")


def cosignature_in(line: Line) -> Cosignature | None:
    """Return what a line says where it has the form of an Ed25519 cosignature."""
    if len(line.raw) != TIME_BYTES + SIGNATURE_BYTES or line.raw[0] & 0x80:
        return None
    at_s = int.from_bytes(line.raw[:TIME_BYTES], "big")
    return Cosignature(name=line.name, at_s=at_s, signature=line.raw[TIME_BYTES:].hex())


def witness_of(line: Line, registry: Registry) -> PublicKey | None:
    """Return the key of the witness that a line's name and hint are of, None for nobody whom the registry knows."""
    for known in registry.keys.values():
        is_witness = known.is_active and known.purpose is KeyPurpose.WITNESS
        if is_witness and key_hint(line.name, TIMESTAMPED, known.public_key.raw) == line.key_id:
            return known.public_key
    return None


def check_note_signature(checkpoint: Checkpoint, signature: str, key: PublicKey) -> None:
    """Raise SignatureInvalid unless the log's key signed the note of its checkpoint."""
    key.verify(CHECKPOINT_NOTE, said_in_note(checkpoint), signature)


def check_cosignature(checkpoint: Checkpoint, cosignature: Cosignature, key: PublicKey) -> None:
    """Raise SignatureInvalid unless a witness's key signed the note of the checkpoint at the time it says."""
    check_cosigned(note_text(checkpoint), cosignature, key)


def check_cosigned(text: str, cosignature: Cosignature, key: PublicKey) -> None:
    """Raise SignatureInvalid unless a witness's key signed this text."""
    if not 0 <= cosignature.at_s < 2**53:
        raise SignatureInvalid("a time that no clock shows")
    key.verify(COSIGNATURE, f"time {cosignature.at_s}\n{text}".encode(), cosignature.signature)


def odd(what: str) -> Invalid:
    return Invalid(what, "signed note", "hand over the note as it was signed: c2sp.org/signed-note")
