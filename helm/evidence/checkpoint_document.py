"""What is handed out about checkpoints: one alone, a leaf under one, the growth from one to another.

A document is checked by whoever got it, with the log's execution key from elsewhere, and no kernel.

    helm.checkpoint/1    a signed checkpoint
    helm.inclusion/1     a receipt or boundary record, and its proof under a signed checkpoint
    helm.consistency/1   two signed checkpoints, and the proof that both trees only grew
    helm.act/1           an act of administration, and the chain from it to a signed checkpoint
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto import domains
from helm.crypto.canonical import ordered_bytes, record_bytes
from helm.crypto.ed25519 import PublicKey, SignatureInvalid
from helm.crypto.hashing import hash_in
from helm.evidence.act_proof import ACT, check_act
from helm.evidence.checkpoint_proofs import hash_leaf, leaf_of
from helm.evidence.checkpoints import unseal_checkpoint
from helm.evidence.note import check_note_signature
from helm.evidence.payloads import Shape
from helm.evidence.unseal import unseal_receipt, unseal_record
from helm.proofgraph.checkpoint import CHECKPOINT, Checkpoint, SealedCheckpoint, hash_of, id_of
from helm.proofgraph.merkle import Head, ProofInvalid, verify_consistency, verify_inclusion
from helm.proofgraph.trees import read_peaks, record_leaf
from helm.wire import structure

SIGNED: Final = "helm.checkpoint/1"
INCLUSION: Final = "helm.inclusion/1"
CONSISTENCY: Final = "helm.consistency/1"

EDITED: Final = "it was edited, or is another document"

OF_SIGNED: Final = Shape({"checkpoint": dict, "note_signature": str, "signature": str, "version": str})
OF_CONSISTENCY: Final = Shape({"from": dict, "receipts": list, "records": list, "to": dict, "version": str})
OF_ACT: Final = Shape({"act": dict, "behind": list, "under": dict, "version": str})
OF_INCLUSION: Final[Mapping[str, Shape]] = MappingProxyType(
    {
        kind: Shape(dict(sorted({"index": int, "path": list, kind: dict, "under": dict, "version": str}.items())))
        for kind in ("receipt", "record")
    }
)


@attrs.frozen(kw_only=True)
class Shown:
    """What a document that was checked shows."""

    version: str
    checkpoint: Checkpoint
    """The one it is about; the later of two."""
    about: str
    """The receipt, record or earlier checkpoint, by id; "" for a checkpoint alone."""


def signed_document(sealed: SealedCheckpoint) -> dict[str, JSONValue]:
    """Return a signed checkpoint as a document."""
    return {
        "checkpoint": CHECKPOINT.body(sealed.content),
        "note_signature": sealed.note_signature,
        "signature": sealed.signature,
        "version": SIGNED,
    }


def check_document(document: Any, key: PublicKey, where: str) -> Shown:
    """Check any of the four, by the execution key that the caller trusts. Raises Invalid."""
    version = document.get("version") if type(document) is dict else None
    match version:
        case "helm.checkpoint/1":
            sealed = check_signed_document(document, key, where)
            return Shown(version=SIGNED, checkpoint=sealed.content, about="")
        case "helm.inclusion/1":
            return check_inclusion(document, key, where)
        case "helm.consistency/1":
            return check_consistency(document, key, where)
        case "helm.act/1":
            return check_act_document(document, key, where)
        case _:
            raise Invalid("is no document about checkpoints", where, EDITED)


def check_signed_document(document: Any, key: PublicKey, where: str) -> SealedCheckpoint:
    """Return the checkpoint of a document once the key has signed it, and its note. Raises Invalid."""
    check_shape(OF_SIGNED, document, where)
    checkpoint = structure(document["checkpoint"], Checkpoint, where)
    if checkpoint.key_id != key.key_id:
        raise Invalid(f"it is signed by {checkpoint.key_id}, not by the key given", where, "was the key rotated?")
    try:
        key.verify(domains.CHECKPOINT, ordered_bytes(checkpoint), document["signature"])
        check_note_signature(checkpoint, document["note_signature"], key)
    except SignatureInvalid as problem:
        raise Invalid(str(problem), where, EDITED) from problem
    checkpoint_hash = hash_of(checkpoint)
    return SealedCheckpoint(
        checkpoint, id_of(checkpoint_hash), checkpoint_hash, document["signature"], document["note_signature"]
    )


def check_inclusion(document: Any, key: PublicKey, where: str) -> Shown:
    """Check that a receipt or record lies under a checkpoint. Raises Invalid."""
    kind = "receipt" if "receipt" in document else "record"
    check_shape(OF_INCLUSION[kind], document, where)
    sealed = check_signed_document(document["under"], key, where)
    said = sealed.content
    about, leaf = leaf_in(kind, document[kind], said.log_id, where)
    size, text = (
        (said.receipts_size, said.receipts_root) if kind == "receipt" else (said.records_size, said.records_root)
    )
    [root] = hashes([text], where)
    try:
        verify_inclusion(leaf, document["index"], hashes(document["path"], where), Head(size=size, root=root))
    except ProofInvalid as problem:
        raise Invalid(f"{about} is not under checkpoint {said.sequence}: {problem}", where, EDITED) from problem
    return Shown(version=INCLUSION, checkpoint=said, about=about)


def leaf_in(kind: str, body: Any, log_id: str, where: str) -> tuple[str, bytes]:
    """Return the id of a receipt or record, and the leaf that its content earns it. Raises Invalid."""
    if kind == "record":
        record = unseal_record(body, where)
        found, about, leaf = record.content.log_id, record.id, record_leaf(record.hash)
    else:
        sealed = unseal_receipt(body, where)
        found, about = sealed.content.log_id, sealed.receipt_id
        leaf = hash_leaf(leaf_of(body, hash_in(domains.RECEIPT_HASH, record_bytes(body))))
    if found != log_id:
        raise Invalid(f"{about} is of another log than the checkpoint", where, EDITED)
    return about, leaf


def act_document(found: dict[str, JSONValue]) -> dict[str, JSONValue]:
    """Return what a search for an act found, with its checkpoint as a document."""
    sealed = unseal_checkpoint(found["payload"], "checkpoint")
    return {"act": found["act"], "behind": found["behind"], "under": signed_document(sealed), "version": ACT}


def check_act_document(document: Any, key: PublicKey, where: str) -> Shown:
    """Check that an act of administration lies under a checkpoint. Raises Invalid."""
    check_shape(OF_ACT, document | {"behind": []}, where)
    said = check_signed_document(document["under"], key, where).content
    return Shown(version=ACT, checkpoint=said, about=check_act(document, said, where))


def check_consistency(document: Any, key: PublicKey, where: str) -> Shown:
    """Check that one checkpoint's trees begin with another's. Raises Invalid."""
    check_shape(OF_CONSISTENCY, document, where)
    old = check_signed_document(document["from"], key, where)
    new = check_signed_document(document["to"], key, where)
    check_grown(old.content, new.content, {name: hashes(document[name], where) for name in ("receipts", "records")})
    return Shown(version=CONSISTENCY, checkpoint=new.content, about=old.checkpoint_id)


def check_grown(old: Checkpoint, new: Checkpoint, proofs: Mapping[str, tuple[bytes, ...]]) -> None:
    """Raise Invalid unless both trees of `new` begin with those of `old`."""
    where = f"checkpoints {old.sequence} and {new.sequence}"
    if (old.log_id, old.shard) != (new.log_id, new.shard):
        raise Invalid("they are of two logs", where, "compare two of one log")
    said, then = CHECKPOINT.body(new), CHECKPOINT.body(old)
    for name, proof in proofs.items():
        before, after = (
            Head(size=body[f"{name}_size"], root=hashes([body[f"{name}_root"]], where)[0]) for body in (then, said)
        )
        try:
            verify_consistency(before, after, proof)
        except ProofInvalid as problem:
            raise Invalid(f"the {name} of one do not begin those of the other: {problem}", where, EDITED) from problem


def check_shape(shape: Shape, document: Any, where: str) -> None:
    """Raise Invalid unless a document has exactly these members; their order is a matter of taste."""
    if type(document) is not dict:
        raise Invalid("is no object", where, EDITED)
    shape.check(dict(sorted(document.items())), where)


def hashes(texts: Any, where: str) -> tuple[bytes, ...]:
    """Return the hashes of a proof. Raises Invalid."""
    try:
        return read_peaks(texts)
    except (AttributeError, TypeError, ValueError) as problem:
        raise Invalid("a proof that is not of written hashes", where, EDITED) from problem
