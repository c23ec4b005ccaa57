"""DSSE around a statement: one payload with its type, and one signature over both (T5).

The protocol lets an envelope carry several signatures. One of ours has one, so that nobody can add to it what another
reader would see; how the rest is read, `helm.crypto.dsse` says.
"""

from __future__ import annotations

from helm.contracts.form import JSONValue
from helm.crypto import domains
from helm.crypto.dsse import envelope_of, pae
from helm.crypto.ed25519 import Signer
from helm.crypto.radix64 import to_base64
from helm.crypto.statement import PAYLOAD_TYPE
from helm.evidence.envelopes import in_toto
from helm.evidence.envelopes.kinds import EnvelopeKind
from helm.evidence.envelopes.parted import OWN_TYPE, WHERE, Parted, odd, signature_of


def said_of(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding behind its first word, which is the domain."""
    return pae(payload_type, payload).removeprefix(domains.DSSE)


def dsse_of(payload_type: str, payload: bytes, pen: Signer) -> dict[str, JSONValue]:
    """Return the signed envelope. Raises PurposeMismatch."""
    signature = pen.sign(domains.DSSE, said_of(payload_type, payload))
    return {
        "payload": to_base64(payload),
        "payloadType": payload_type,
        "signatures": [{"keyid": pen.key_id, "sig": to_base64(bytes.fromhex(signature))}],
    }


def take_apart(body: JSONValue, sigstore: bool = False) -> Parted:
    """Return what stands in an envelope. Raises Invalid for another form."""
    envelope = envelope_of(body)
    if len(envelope.signatures) != 1:
        raise odd("not exactly one signature")
    [signature] = envelope.signatures
    kind, fault = kind_of(envelope.payload_type, envelope.payload, sigstore)
    return Parted(
        kind=kind,
        key_id=signature.key_id,
        payload_type=envelope.payload_type,
        payload=envelope.payload,
        header_fault=fault,
        domain=domains.DSSE,
        said=said_of(envelope.payload_type, envelope.payload),
        signature=signature_of(signature.raw),
    )


def kind_of(payload_type: str, payload: bytes, sigstore: bool) -> tuple[EnvelopeKind, str]:
    """Return the kind that a payload of this type makes of the envelope, and what is wrong with the type."""
    if payload_type == OWN_TYPE and not sigstore:
        return EnvelopeKind.DSSE, ""
    if payload_type != PAYLOAD_TYPE:
        kind = EnvelopeKind.SIGSTORE if sigstore else EnvelopeKind.DSSE
        return kind, f"its payload is of type {payload_type[:80]!r}, which HELM does not sign"
    if sigstore:
        return EnvelopeKind.SIGSTORE, ""
    is_provenance = in_toto.predicate_of(payload, WHERE) == in_toto.PROVENANCE
    return (EnvelopeKind.SLSA if is_provenance else EnvelopeKind.IN_TOTO), ""
