"""Native evidence, seen from outside: a pack, a receipt or a checkpoint, by its bytes and by what the log calls it.

Reading it here proves nothing of it: an envelope is about these bytes, whatever they are worth.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.contracts.receipt import RECEIPT_VERSION
from helm.crypto import domains
from helm.crypto.canonical import MAX_BYTES, canonical, parse
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey, SignatureInvalid
from helm.crypto.hashing import Hasher, content_id
from helm.evidence.archive import Raw, files_in
from helm.evidence.checkpoint_document import OF_SIGNED, SIGNED, check_shape, check_signed_document
from helm.evidence.envelopes.statement import CHECKPOINT, PACK, RECEIPT, VERSION, EvidenceStatement
from helm.evidence.layout import MANIFEST
from helm.evidence.manifest import Listed, read_manifest
from helm.evidence.proven import Helpers
from helm.evidence.scope import SESSION
from helm.evidence.signed import signed_bytes
from helm.evidence.trust_root import TrustRoot
from helm.evidence.unseal import unseal_receipt
from helm.evidence.verify import check_pack
from helm.proofgraph.checkpoint import Checkpoint, hash_of, id_of
from helm.trust.registry import Registry
from helm.wire import structure

PACK_ID: Final = "pack_"

BESIDE: Final = frozenset({"checkpoint_hash", "checkpoint_id", "note", "taken"})
"""What is shown beside a signed checkpoint, and follows from it."""

PIECE: Final = 1024 * 1024
"""Bytes of a pack that are hashed at a time."""

WHERE: Final = "evidence"


@attrs.frozen(kw_only=True)
class NativeEvidence:
    """One piece of evidence."""

    kind: str
    raw: Raw = attrs.field(repr=False)
    """The bytes that are hashed: the file of a pack, the canonical form of anything else."""
    evidence_hash: str = attrs.field(init=False)
    root: str
    subject: str
    log_id: str
    signed_by: str
    """The key that signed it, as it says."""
    tenant: str = ""
    session_id: str = ""

    @evidence_hash.default
    def _hash(self) -> str:
        hasher = Hasher()
        for start in range(0, len(self.raw), PIECE):
            hasher.add(self.raw[start : start + PIECE])
        return hasher.written()

    def statement(self, key_id: str) -> EvidenceStatement:
        """Return what an envelope says of it when this key signs."""
        return EvidenceStatement(
            authoritative=False,
            evidence_hash=self.evidence_hash,
            evidence_kind=self.kind,
            evidence_root=self.root,
            key_id=key_id,
            log_id=self.log_id,
            session_id=self.session_id,
            subject=self.subject,
            tenant=self.tenant,
            version=VERSION,
        )


def read_native(raw: bytes) -> NativeEvidence:
    """Return the evidence in a file: a pack, or a receipt or checkpoint as HELM shows it. Raises Invalid."""
    if not raw.lstrip().startswith(b"{"):
        return of_pack(raw)
    try:
        body: Any = parse(raw)
    except Malformed as problem:
        raise Invalid(f"is not JSON: {problem}", WHERE, "hand over the file as it was written") from problem
    if body.get("version") == SIGNED:
        return of_checkpoint({name: said for name, said in body.items() if name not in BESIDE})
    story = body.get("receipt", body)
    if type(story) is dict and story.get("version") == RECEIPT_VERSION:
        return of_receipt(story)
    raise Invalid("is neither a pack nor a receipt nor a checkpoint", WHERE, "helm evidence export makes a pack")


def of_pack(raw: Raw) -> NativeEvidence:
    """Return a pack, of which the manifest lists what is there; no more of it is verified. Raises Invalid."""
    files = files_in(raw)
    manifest = read_manifest(files.get(MANIFEST), files.sizes())
    for _ in Listed(files, manifest.hashes).values():
        pass  # each file is compared as it is read
    cover = manifest.cover
    tenant, session_id = cover.sessions[0] if cover.scope == SESSION else ("", "")
    return NativeEvidence(
        kind=PACK,
        raw=raw,
        root=manifest.manifest_hash,
        subject=content_id(PACK_ID, manifest.manifest_hash),
        log_id=cover.log_id,
        signed_by=cover.key_id,
        tenant=tenant,
        session_id=session_id,
    )


def of_receipt(body: JSONValue) -> NativeEvidence:
    """Return a receipt that earns its id. Raises Invalid."""
    sealed = unseal_receipt(body, WHERE)
    said = sealed.content
    return NativeEvidence(
        kind=RECEIPT,
        raw=canonical(body),
        root=sealed.receipt_hash,
        subject=sealed.receipt_id,
        log_id=said.log_id,
        signed_by=said.key_id,
        tenant=said.tenant,
        session_id=said.session_id,
    )


def of_checkpoint(document: JSONValue) -> NativeEvidence:
    """Return a signed checkpoint's document. Raises Invalid."""
    check_shape(OF_SIGNED, document, WHERE)
    checkpoint = structure(document["checkpoint"], Checkpoint, WHERE)
    checkpoint_hash = hash_of(checkpoint)
    return NativeEvidence(
        kind=CHECKPOINT,
        raw=canonical(document),
        root=checkpoint_hash,
        subject=id_of(checkpoint_hash),
        log_id=checkpoint.log_id,
        signed_by=checkpoint.key_id,
    )


def root_of(native: NativeEvidence, registry: Registry) -> TrustRoot:
    """Return what a log's own registry trusts of a piece of evidence: its execution keys that were not revoked."""
    known = registry.keys.get(native.signed_by)
    is_trusted = known is not None and known.purpose is KeyPurpose.EXECUTION and known.revoked is None
    key = known.public_key.hex if known is not None and is_trusted else ""
    return TrustRoot(log_id=registry.log_id, execution_key="" if native.kind == PACK else key)


def is_enough(native: NativeEvidence, root: TrustRoot) -> bool:
    """Tell whether a trust root can say of this evidence whether it holds: of a pack any can."""
    return native.kind == PACK or root.execution_key != ""


def check_native(native: NativeEvidence, root: TrustRoot, helpers: Helpers | None = None) -> None:
    """Raise Invalid unless the evidence itself verifies from a trust root that `is_enough`."""
    if native.kind == PACK:
        check_pack(native.raw, root, helpers)
        return
    if root.log_id not in ("", native.log_id):
        raise Invalid("it is of another log than the one that is trusted", WHERE)
    if not root.execution_key:
        raise Invalid(f"no execution key is known that may have signed it: {native.signed_by}", WHERE)
    body, key = parse(native.raw[:MAX_BYTES]), PublicKey.from_hex(root.execution_key)
    if native.kind == CHECKPOINT:
        check_signed_document(body, key, WHERE)
        return
    sealed = unseal_receipt(body, WHERE)
    try:
        key.verify(domains.RECEIPT, signed_bytes(sealed), sealed.signature)
    except SignatureInvalid as problem:
        raise Invalid(f"receipt {sealed.receipt_id}: {problem}", WHERE, "was the key rotated?") from problem
