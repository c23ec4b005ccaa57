"""Equivocation: two statements of one log, both signed by its key, of which one at most can be true (T5).

Whoever holds both has proof, against the log, that it told two stories. Nothing else is needed to show it.
"""

from __future__ import annotations

import base64

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.domains import CHECKPOINT_NOTE
from helm.crypto.ed25519 import SIGNATURE_BYTES, PublicKey, SignatureInvalid
from helm.evidence.note import ED25519, Note, key_hint, odd, origin_of
from helm.proofgraph.checkpoint import Checkpoint, SealedCheckpoint, sizes
from helm.proofgraph.trees import written


class Equivocation(Invalid):
    """The log's key signed two statements that contradict each other."""


@attrs.frozen(kw_only=True)
class Statement:
    """What a signed note says, or a signed checkpoint that is read as its note."""

    origin: str
    size: int
    root: str
    checkpoint: Checkpoint | None = None
    """All of it, where all of it is at hand."""
    checkpoint_hash: str = ""


def statement_of(sealed: SealedCheckpoint) -> Statement:
    """Return what a checkpoint states, whose signature was checked."""
    said = sealed.content
    return Statement(
        origin=origin_of(said.log_id, said.shard),
        size=said.receipts_size,
        root=said.receipts_root,
        checkpoint=said,
        checkpoint_hash=sealed.checkpoint_hash,
    )


def read_statement(note: Note, key: PublicKey) -> Statement:
    """Return what a note says once the log's own key has signed it. Raises Invalid."""
    lines = note.text[:-1].split("\n")
    if len(lines) < 3 or not all(lines):
        raise odd("no checkpoint: an origin, a size and a root")
    origin, size, text = lines[:3]
    if not size.isascii() or not size.isdecimal() or str(int(size)) != size or len(size) > 16:
        raise odd("the size is not written in its one form")
    try:
        root = base64.b64decode(text, validate=True)
    except ValueError as problem:
        raise odd("the root is not base64") from problem
    if len(root) != 32 or base64.b64encode(root).decode() != text:
        raise odd("the root is not a hash in its one form")
    check_own_line(note, origin, key)
    return Statement(origin=origin, size=int(size), root=written(root))


def check_own_line(note: Note, origin: str, key: PublicKey) -> None:
    """Raise Invalid unless the log's key signed the note under the log's name.

    A line of the right name and hint must hold (c2sp.org/signed-note); lines of others are passed over.
    """
    hint = key_hint(origin, ED25519, key.raw)
    own = [line for line in note.lines if (line.name, line.key_id) == (origin, hint)]
    if not own:
        raise Invalid("no line of it is by the log's key", "signed note", "is it this log's, and this key's?")
    for line in own:
        try:
            if len(line.raw) != SIGNATURE_BYTES or not note.text.startswith(CHECKPOINT_NOTE.decode()):
                raise SignatureInvalid("the line is no signature of this log")
            key.verify(CHECKPOINT_NOTE, note.text.encode()[len(CHECKPOINT_NOTE) :], line.raw.hex())
        except SignatureInvalid as problem:
            raise Invalid(str(problem), "signed note", "it was edited or forged") from problem


def check_no_equivocation(one: Statement, other: Statement) -> None:
    """Raise Equivocation where two signed statements of a log contradict each other, Invalid where they are of two.

    1. one size has one root
    2. one number has one checkpoint
    3. a checkpoint names the one before it
    4. a later one covers no less
    """
    if one.origin != other.origin:
        raise Invalid(f"they are of two logs: {one.origin}, {other.origin}", "checkpoints", "compare two of one log")
    if one.size == other.size and one.root != other.root:  # 1
        raise caught(f"two roots over the same {one.size} receipts")
    if one.checkpoint is None or other.checkpoint is None:
        return
    first, second = sorted((one, other), key=lambda said: said.checkpoint.sequence if said.checkpoint else 0)
    old, new = first.checkpoint, second.checkpoint
    if old is None or new is None:
        return
    if old.sequence == new.sequence and first.checkpoint_hash != second.checkpoint_hash:  # 2
        raise caught(f"two checkpoints of number {old.sequence}")
    if new.sequence == old.sequence + 1 and new.prev_checkpoint_hash != first.checkpoint_hash:  # 3
        raise caught(f"checkpoint {new.sequence} stands on another one than {old.sequence}")
    if old.records_size == new.records_size and old.records_root != new.records_root:  # 1
        raise caught(f"two roots over the same {old.records_size} records")
    before, after = sizes(old), sizes(new)
    if old.sequence < new.sequence and any(now < then for then, now in zip(before, after, strict=True)):  # 4
        raise caught(f"checkpoint {new.sequence} covers less than {old.sequence}")


def caught(what: str) -> Equivocation:
    hint = "keep both: whoever holds them can show that the log told two stories"
    return Equivocation(f"the log's key signed {what}", "checkpoints", hint)
