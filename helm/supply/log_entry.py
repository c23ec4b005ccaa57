"""An entry of a Rekor log with its proof, as the log's own interface or a Sigstore bundle carries it.

https://github.com/sigstore/protobuf-specs (bundle, rekor) and Rekor's openapi.yaml. Nothing is verified here.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.canonical import parse
from helm.crypto.dsse import MAX_ENVELOPE_BYTES, Envelope, envelope_of
from helm.proofgraph.merkle import HASH_BYTES, leaf_hash
from helm.supply.members import a_count, a_list, a_text, an_object, hex_bytes, some_bytes

MAX_FILE_BYTES: Final = MAX_ENVELOPE_BYTES
"""Longest entry or bundle that is looked at (T4)."""

MAX_PATH: Final = 64
"""Most hashes of an inclusion proof: a tree of 2^64 leaves has no longer one (T4)."""

MAX_CERTIFICATES: Final = 16
"""Most certificates of a chain; only the first is looked at (T4)."""

BUNDLES: Final = frozenset(
    {
        *(f"application/vnd.dev.sigstore.bundle+json;version=0.{minor}" for minor in (1, 2, 3)),
        "application/vnd.dev.sigstore.bundle.v0.3+json",
    }
)
ENTRY_IN_BUNDLE: Final = frozenset({"logIndex", "logId", "kindVersion", "canonicalizedBody"})
ENTRY_IN_BUNDLE_MAY: Final = frozenset({"integratedTime", "inclusionPromise", "inclusionProof"})
ENTRY_OF_LOG: Final = frozenset({"body", "integratedTime", "logID", "logIndex", "verification"})
PROOF: Final = frozenset({"logIndex", "rootHash", "treeSize", "hashes", "checkpoint"})
NO_PROOF: Final = "ask the log for the entry with its inclusion proof: a promise to include it proves nothing"


@attrs.frozen(kw_only=True)
class LogProof:
    """That a leaf lies in a tree, as it is claimed."""

    index: int
    size: int
    root: bytes
    hashes: tuple[bytes, ...] = attrs.field(repr=False)
    checkpoint: bytes = attrs.field(repr=False)
    """The signed note of the tree's head."""


@attrs.frozen(kw_only=True)
class BundledContent:
    """What a bundle carries beside its entry."""

    signature: bytes | None = None
    """Over an artifact that is not in it."""
    digest_hint: bytes | None = None
    envelope: Envelope | None = None
    certificate: bytes | None = None
    """The signer's, where it is signed with one."""


@attrs.frozen(kw_only=True)
class LogEntry:
    """An entry as it was read."""

    body: bytes = attrs.field(repr=False)
    kind_version: tuple[str, str] | None
    """As a bundle says it beside the body."""
    log_id: bytes
    log_index: int
    """Among all entries of all trees of the log."""
    integrated_at_s: int
    """When the log took it in, by its own clock; 0 where it does not say."""
    timestamp: bytes | None = attrs.field(repr=False)
    """The log's signature over body, time, log and index, where there is one."""
    proof: LogProof
    content: BundledContent | None = None


def read_entry(raw: bytes) -> LogEntry:
    """Return the entry of a bundle, or of a log's answer. Raises Malformed, Invalid."""
    value = an_object(parse(raw, max_bytes=MAX_FILE_BYTES), "entry")
    return from_bundle(value) if "mediaType" in value else from_log(value)


def from_log(answer: dict[str, Any]) -> LogEntry:
    """Return the one entry of an answer of a log's interface. Raises Invalid."""
    if len(answer) != 1:
        raise Invalid("not one entry by its id", "entry", "hand over the log's answer for one entry, or a bundle")
    [(entry_id, value)] = answer.items()
    body = an_object(value, "entry", must=ENTRY_OF_LOG, may=frozenset({"attestation"}))
    verification = an_object(
        body["verification"], "verification", may=frozenset({"inclusionProof", "signedEntryTimestamp"})
    )
    raw, stamp = some_bytes(body["body"], "body"), verification.get("signedEntryTimestamp")
    if not entry_id.endswith(leaf_hash(raw).hex()):
        raise Invalid("its id does not end in the hash of its body", "entry", "it is not the entry of that id")
    return LogEntry(
        body=raw,
        kind_version=None,
        log_id=hex_bytes(body["logID"], "logID", size=HASH_BYTES),
        log_index=a_count(body["logIndex"], "logIndex"),
        integrated_at_s=a_count(body["integratedTime"], "integratedTime"),
        timestamp=None if stamp is None else some_bytes(stamp, "signedEntryTimestamp"),
        proof=proof_of_log(verification.get("inclusionProof")),
    )


def proof_of_log(value: Any) -> LogProof:
    if value is None:
        raise Invalid("there is no inclusion proof", "inclusionProof", NO_PROOF)
    body = an_object(value, "inclusionProof", must=PROOF, may=frozenset())
    return LogProof(
        index=a_count(body["logIndex"], "inclusionProof.logIndex"),
        size=a_count(body["treeSize"], "inclusionProof.treeSize"),
        root=hex_bytes(body["rootHash"], "inclusionProof.rootHash", size=HASH_BYTES),
        hashes=tuple(hex_bytes(one, "inclusionProof.hashes", size=HASH_BYTES) for one in path_of(body)),
        checkpoint=a_text(body["checkpoint"], "inclusionProof.checkpoint", at_most=65536).encode(),
    )


def path_of(body: dict[str, Any]) -> list[Any]:
    return a_list(body["hashes"], "inclusionProof.hashes", at_most=MAX_PATH)


def from_bundle(bundle: dict[str, Any]) -> LogEntry:
    """Return the one entry of a Sigstore bundle, with what the bundle carries beside it. Raises Invalid."""
    if bundle["mediaType"] not in BUNDLES:
        raise Invalid("a version of the bundle that is not known", "mediaType", "versions 0.1, 0.2 and 0.3 are read")
    content = frozenset({"messageSignature", "dsseEnvelope"})
    an_object(bundle, "bundle", must=frozenset({"mediaType", "verificationMaterial"}), may=content)
    material = an_object(
        bundle["verificationMaterial"],
        "verificationMaterial",
        must=frozenset({"tlogEntries"}),
        may=frozenset({"certificate", "x509CertificateChain", "publicKey", "timestampVerificationData"}),
    )
    entries = a_list(material["tlogEntries"], "tlogEntries", at_most=MAX_PATH)
    if len(entries) != 1:
        raise Invalid(f"{len(entries)} entries, not one", "tlogEntries", "hand over a bundle with one entry")
    return attrs.evolve(entry_in_bundle(entries[0]), content=content_of(bundle, material))


def entry_in_bundle(value: Any) -> LogEntry:
    """Return an entry in the form of protobuf's JSON. Raises Invalid."""
    body = {"logIndex": 0} | an_object(value, "tlogEntries")  # protobuf leaves out what is 0 or empty
    an_object(body, "tlogEntries", must=ENTRY_IN_BUNDLE, may=ENTRY_IN_BUNDLE_MAY)
    two = frozenset({"kind", "version"})
    kind = an_object(body["kindVersion"], "kindVersion", must=two, may=frozenset())
    log = an_object(body["logId"], "logId", must=frozenset({"keyId"}), may=frozenset())
    return LogEntry(
        body=some_bytes(body["canonicalizedBody"], "canonicalizedBody"),
        kind_version=(a_text(kind["kind"], "kind"), a_text(kind["version"], "version")),
        log_id=some_bytes(log["keyId"], "logId.keyId", size=HASH_BYTES),
        log_index=a_count(body["logIndex"], "logIndex"),
        integrated_at_s=a_count(body.get("integratedTime", 0), "integratedTime"),
        timestamp=promise_of(body.get("inclusionPromise")),
        proof=proof_in_bundle(body.get("inclusionProof")),
    )


def promise_of(value: Any) -> bytes | None:
    if value is None:
        return None
    one = frozenset({"signedEntryTimestamp"})
    body = an_object(value, "inclusionPromise", must=one, may=frozenset())
    return some_bytes(body["signedEntryTimestamp"], "signedEntryTimestamp")


def proof_in_bundle(value: Any) -> LogProof:
    if value is None:
        raise Invalid("there is no inclusion proof", "inclusionProof", NO_PROOF)
    body = an_object({"hashes": [], "logIndex": 0} | an_object(value, "inclusionProof"), "inclusionProof", must=PROOF)
    envelope = an_object(body["checkpoint"], "checkpoint", must=frozenset({"envelope"}), may=frozenset())["envelope"]
    return LogProof(
        index=a_count(body["logIndex"], "inclusionProof.logIndex"),
        size=a_count(body["treeSize"], "inclusionProof.treeSize"),
        root=some_bytes(body["rootHash"], "inclusionProof.rootHash", size=HASH_BYTES),
        hashes=tuple(some_bytes(one, "inclusionProof.hashes", size=HASH_BYTES) for one in path_of(body)),
        checkpoint=a_text(envelope, "checkpoint.envelope", at_most=65536).encode(),
    )


def content_of(bundle: dict[str, Any], material: dict[str, Any]) -> BundledContent:
    """Return what a bundle is about. Raises Invalid unless that is one thing."""
    certificate = certificate_of(material)
    if ("messageSignature" in bundle) == ("dsseEnvelope" in bundle):
        raise Invalid("not one of messageSignature and dsseEnvelope", "bundle")
    if "dsseEnvelope" in bundle:
        return BundledContent(envelope=envelope_of(bundle["dsseEnvelope"]), certificate=certificate)
    signed = an_object(
        bundle["messageSignature"],
        "messageSignature",
        must=frozenset({"signature"}),
        may=frozenset({"messageDigest"}),
    )
    hint = signed.get("messageDigest")
    if hint is not None and an_object(hint, "messageDigest").get("algorithm") != "SHA2_256":
        raise Invalid("not SHA2_256", "messageDigest.algorithm", "sign with SHA-256")
    return BundledContent(
        signature=some_bytes(signed["signature"], "messageSignature.signature"),
        digest_hint=None if hint is None else some_bytes(hint.get("digest"), "messageDigest.digest", size=HASH_BYTES),
        certificate=certificate,
    )


def certificate_of(material: dict[str, Any]) -> bytes | None:
    """Return the signer's certificate, None where a bare key signed. Raises Invalid unless it is one of these."""
    if len(material.keys() & {"certificate", "x509CertificateChain", "publicKey"}) != 1:
        raise Invalid("not one of certificate, chain and public key", "verificationMaterial")
    if "publicKey" in material:
        return None
    leaf = material.get("certificate")
    if leaf is None:
        chain = an_object(material["x509CertificateChain"], "x509CertificateChain").get("certificates")
        certificates = a_list(chain, "x509CertificateChain", at_most=MAX_CERTIFICATES)
        if not certificates:
            raise Invalid("an empty chain of certificates", "x509CertificateChain")
        leaf = certificates[0]
    return some_bytes(an_object(leaf, "certificate").get("rawBytes"), "certificate.rawBytes")
