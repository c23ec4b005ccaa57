"""Making a checkpoint, and reading one back: the chain of all that a log says of itself."""

from __future__ import annotations

from typing import Any, Final

import attrs

from helm.contracts.approval import Action
from helm.contracts.errors import Invalid
from helm.contracts.form import Form, JSONValue, Noun
from helm.crypto import domains
from helm.crypto.canonical import ordered_bytes
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SignatureInvalid, Signer
from helm.evidence.note import (
    Cosignature,
    check_cosigned,
    check_note_signature,
    check_witness_name,
    note_text,
    said_in_note,
)
from helm.evidence.payloads import CHECKPOINT_PAYLOAD, check_payload
from helm.proofgraph.checkpoint import (
    CHECKPOINT,
    GENESIS,
    VERSION,
    Checkpoint,
    SealedCheckpoint,
    check_follows,
    check_signed,
    hash_of,
    id_of,
)
from helm.proofgraph.graph import Graph
from helm.proofgraph.trees import Trees, written
from helm.trust.registry import Registry
from helm.wire import structure


@attrs.frozen(kw_only=True)
class Occasion:
    """Why a checkpoint is taken, when, and by which key."""

    cause: str
    issued_at_ms: int
    key_id: str
    log_id: str


def checkpoint_of(trees: Trees, graph: Graph, before: SealedCheckpoint | None, occasion: Occasion) -> Checkpoint:
    """Return the checkpoint that takes the graph's next place and speaks of all that lies below it."""
    receipts, records = trees.receipts.frontier().head(), trees.records.frontier().head()
    heads = trees.heads.bring_up(graph.heads)
    return Checkpoint(
        cause=occasion.cause,
        control_head=graph.control_head,
        heads_root=written(heads.root),
        heads_size=heads.size,
        issued_at_ms=occasion.issued_at_ms,
        key_id=occasion.key_id,
        lamport=graph.lamport + 1,
        log_id=occasion.log_id,
        prev_checkpoint_hash=GENESIS if before is None else before.checkpoint_hash,
        receipts_root=written(receipts.root),
        receipts_size=receipts.size,
        records_root=written(records.root),
        records_size=records.size,
        sequence=1 if before is None else before.content.sequence + 1,
        shard=graph.shard,
        version=VERSION,
    )


def seal(checkpoint: Checkpoint, pen: Signer) -> SealedCheckpoint:
    """Sign a checkpoint, and its note. Raises PurposeMismatch."""
    checkpoint_hash = hash_of(checkpoint)
    return SealedCheckpoint(
        checkpoint,
        id_of(checkpoint_hash),
        checkpoint_hash,
        pen.sign(domains.CHECKPOINT, ordered_bytes(checkpoint)),
        pen.sign(domains.CHECKPOINT_NOTE, said_in_note(checkpoint)),
    )


def payload_of(sealed: SealedCheckpoint) -> bytes:
    """Return the payload of a checkpoint's node, in canonical bytes."""
    said = {
        "checkpoint": CHECKPOINT.body(sealed.content),
        "note_signature": sealed.note_signature,
        "signature": sealed.signature,
        "type": "CHECKPOINT",
    }
    return ordered_bytes(said)


def peaks_of(trees: Trees) -> bytes:
    """Return the complete subtrees that the trees stand on, as they are kept beside a checkpoint.

    With them a proof needs only the leaves between two checkpoints. The roots bind them.
    """
    return ordered_bytes(
        {
            "receipts": [written(peak) for peak in trees.receipts.peaks],
            "records": [written(peak) for peak in trees.records.peaks],
        }
    )


def unseal_checkpoint(payload: dict[str, JSONValue], where: str) -> SealedCheckpoint:
    """Return the checkpoint in a node's payload. Raises Invalid. No signature is checked here."""
    check_payload(payload, "CHECKPOINT", CHECKPOINT_PAYLOAD, where)
    checkpoint = structure(payload["checkpoint"], Checkpoint, where)
    checkpoint_hash = hash_of(checkpoint)
    return SealedCheckpoint(
        checkpoint, id_of(checkpoint_hash), checkpoint_hash, payload["signature"], payload["note_signature"]
    )


class Cosigned(Noun, frozen=True, kw_only=True):
    """One witness's signature under the note of one checkpoint. `name` is the witness's own; the key is what counts."""

    checkpoint_hash: str
    cosigned_at_s: int
    key_id: str
    name: str
    signature: str


COSIGNED: Final = Form(Cosigned)


def cosigned_in(payload: dict[str, JSONValue], where: str) -> Cosigned:
    """Return the cosignature in an event. Raises Invalid."""
    return structure({name: payload[name] for name in COSIGNED.names}, Cosigned, where)


@attrs.define
class Checkpoints:
    """The chain of checkpoints of one log, as far as it was read.

    1. a checkpoint says it stands where its node stands, on this log and shard
    2. it follows the one before it, and covers no less
    3. an execution key that counted signed it, and its note
    """

    latest: SealedCheckpoint | None = None
    owed: set[str] = attrs.field(factory=set)
    """Approvals that an emergency key granted and that no checkpoint covers yet."""
    texts: dict[str, str] = attrs.field(factory=dict, repr=False)
    """The note of each checkpoint by its hash: what witnesses sign."""
    cosignatures: dict[str, list[Cosigned]] = attrs.field(factory=dict, repr=False)
    """What witnesses signed of each checkpoint, by its hash."""

    def is_cosigned(self, said: Cosigned) -> bool:
        """Tell whether this witness has signed this checkpoint already: a second time says nothing new."""
        return any(one.key_id == said.key_id for one in self.cosignatures.get(said.checkpoint_hash, ()))

    def take(
        self, payload: dict[str, Any], registry: Registry | None, lamport: int, shard: str, where: str
    ) -> SealedCheckpoint:
        """Verify the next checkpoint, of the node at `lamport`. Raises Invalid."""
        sealed = unseal_checkpoint(payload, where)
        if (sealed.content.lamport, sealed.content.shard) != (lamport, shard):  # 1
            raise Invalid("the checkpoint speaks of another place than its own", where, "it was moved")
        check_follows(sealed.content, self.latest, where)  # 2
        check_signed(sealed, registry, where)  # 3
        check_noted(sealed, registry, where)
        self.extend(sealed)
        return sealed

    def extend(self, sealed: SealedCheckpoint) -> None:
        """Take a checkpoint as the latest: it covers whatever a checkpoint was owed for."""
        self.latest = sealed
        self.owed.clear()
        self.texts[sealed.checkpoint_hash] = note_text(sealed.content)

    def note_approval(self, payload: dict[str, Any]) -> None:
        """Note that a checkpoint is owed where an emergency key granted an approval."""
        assertion = payload.get("assertion", {})
        if assertion.get("action") == Action.OVERRIDE:
            self.owed.add(assertion["approval_id"])

    def cosign(self, said: Cosigned, registry: Registry | None, lamport: int, where: str) -> None:
        """Take a witness's signature under a checkpoint's note, by a key that counts at `lamport`. Raises Invalid."""
        text = self.texts.get(said.checkpoint_hash)
        if text is None or registry is None:
            raise Invalid("the cosigned checkpoint is not one of this log", where, "hand over a note of this log")
        if self.is_cosigned(said):
            raise Invalid(f"{said.key_id} has cosigned this checkpoint already", where, "once is enough")
        check_witness_name(said.name)
        try:
            key = registry.require(said.key_id, KeyPurpose.WITNESS, lamport)
            check_cosigned(text, Cosignature(name=said.name, at_s=said.cosigned_at_s, signature=said.signature), key)
        except SignatureInvalid as problem:
            raise Invalid(str(problem), where, "the witness signed something else") from problem
        self.cosignatures.setdefault(said.checkpoint_hash, []).append(said)

    def check_relied(self, approval_id: str, where: str) -> None:
        """Raise Invalid where a call relied on an override before a checkpoint covered it (T7)."""
        if approval_id in self.owed:
            what = f"relies on the override of {approval_id}, which no checkpoint covers"
            raise Invalid(what, where, "the checkpoint that it forced was taken away")


def check_noted(sealed: SealedCheckpoint, registry: Registry | None, where: str) -> None:
    """Raise Invalid unless the key of a checkpoint signed its note as well."""
    if registry is None:
        raise Invalid("a checkpoint before any key", where)
    try:
        check_note_signature(sealed.content, sealed.note_signature, registry.keys[sealed.content.key_id].public_key)
    except SignatureInvalid as problem:
        raise Invalid(f"the note of checkpoint {sealed.content.sequence}: {problem}", where, "forged") from problem


def check_covers(sealed: SealedCheckpoint, trees: Trees, graph: Graph, where: str) -> None:
    """Raise Invalid unless a checkpoint states what the log below it comes to; `graph` has not taken its node yet."""
    said, heads = sealed.content, trees.heads.bring_up(graph.heads)
    receipts, records = trees.receipts.frontier().head(), trees.records.frontier().head()
    so = {
        "control_head": graph.control_head,
        "heads_root": written(heads.root),
        "heads_size": heads.size,
        "receipts_root": written(receipts.root),
        "receipts_size": receipts.size,
        "records_root": written(records.root),
        "records_size": records.size,
    }
    stated = CHECKPOINT.body(said)
    for name, value in so.items():
        if stated[name] != value:
            what = f"checkpoint {said.sequence} states another {name} than the log below it comes to"
            raise Invalid(what, where, "rows below it were changed, moved or taken away")
