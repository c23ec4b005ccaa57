"""The checkpoint: one signed statement of all that a shard's log holds, chained to the one before it (T5, T6).

It speaks of every node below its own, and becomes durable behind them: what it covers is never less durable than it.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from helm.contracts.errors import Invalid
from helm.contracts.form import Form, Noun
from helm.crypto import domains
from helm.crypto.canonical import ordered_bytes
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SignatureInvalid
from helm.crypto.hashing import content_id, hash_in
from helm.trust.registry import Registry

GENESIS: Final = "GENESIS"
"""What the first checkpoint of a log names as the one before it."""

VERSION: Final = "helm.checkpoint/1"

CHECKPOINT_ID: Final = "ckpt_"


class Cause(StrEnum):
    """Why a checkpoint was taken."""

    COUNT = "count"
    """So many receipts had come since the last one."""
    TIME = "time"
    DEMAND = "demand"
    OVERRIDE = "override"
    """An emergency key passed over a quorum: what led to it is fixed before anything can rely on it (T7)."""


class Checkpoint(Noun, frozen=True, kw_only=True):
    """What a checkpoint says (HELM/Checkpoint/v1). `lamport` is its own node's: it covers every node below."""

    cause: str
    control_head: str
    heads_root: str
    heads_size: int
    issued_at_ms: int
    key_id: str
    lamport: int
    log_id: str
    prev_checkpoint_hash: str
    receipts_root: str
    receipts_size: int
    records_root: str
    records_size: int
    sequence: int
    shard: str
    version: str

    def __post_init__(self) -> None:
        if self.cause not in CAUSES or self.version != VERSION:
            raise ValueError(f"a checkpoint of cause {self.cause!r} and version {self.version!r}")
        sizes = (self.heads_size, self.receipts_size, self.records_size, self.issued_at_ms)
        if min(sizes) < 0 or self.lamport < 1 or self.sequence < 1:
            raise ValueError("a checkpoint counts from 0 up, its own number and place from 1 up")
        if (self.sequence == 1) != (self.prev_checkpoint_hash == GENESIS):
            raise ValueError("the first checkpoint of a log, and no other, stands on GENESIS")


CAUSES: Final = frozenset(map(str, Cause))
CHECKPOINT: Final = Form(Checkpoint)


class SealedCheckpoint(Noun, frozen=True):
    """A signed checkpoint. `note_signature` is the one under its C2SP note, by the same key."""

    content: Checkpoint
    checkpoint_id: str
    checkpoint_hash: str
    signature: str
    note_signature: str


def hash_of(checkpoint: Checkpoint) -> str:
    """Return the hash by which the next checkpoint, and whoever pins this one, names it."""
    return hash_in(domains.CHECKPOINT_HASH, ordered_bytes(checkpoint))


def id_of(checkpoint_hash: str) -> str:
    """Return the id of the checkpoint that has this hash."""
    return content_id(CHECKPOINT_ID, checkpoint_hash)


def check_signed(sealed: SealedCheckpoint, registry: Registry | None, where: str) -> None:
    """Raise Invalid unless an execution key that counted at its place signed the checkpoint, for this log."""
    checkpoint = sealed.content
    if registry is None or checkpoint.log_id != registry.log_id:
        raise Invalid("the checkpoint belongs to another log, or to none", where)
    try:
        key = registry.require(checkpoint.key_id, KeyPurpose.EXECUTION, checkpoint.lamport)
        key.verify(domains.CHECKPOINT, ordered_bytes(checkpoint), sealed.signature)
    except SignatureInvalid as problem:
        raise Invalid(f"checkpoint {checkpoint.sequence}: {problem}", where, "it was edited or forged") from problem


def check_follows(checkpoint: Checkpoint, before: SealedCheckpoint | None, where: str) -> None:
    """Raise Invalid unless a checkpoint is the next one after `before`, or the first. Trees never shrink."""
    sequence, named = (0, GENESIS) if before is None else (before.content.sequence, before.checkpoint_hash)
    if (checkpoint.sequence, checkpoint.prev_checkpoint_hash) != (sequence + 1, named):
        what = f"checkpoint {checkpoint.sequence} does not follow {sequence}"
        raise Invalid(what, where, "a checkpoint is missing, doubled or forged")
    if before is not None and not all(
        old <= new for old, new in zip(sizes(before.content), sizes(checkpoint), strict=True)
    ):
        raise Invalid(f"checkpoint {checkpoint.sequence} covers less than the one before it", where, "rows are gone")


def sizes(checkpoint: Checkpoint) -> tuple[int, int, int, int]:
    """Return what can only grow from one checkpoint to the next."""
    return (checkpoint.receipts_size, checkpoint.records_size, checkpoint.heads_size, checkpoint.lamport)
