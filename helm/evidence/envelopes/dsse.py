"""DSSE: one payload with its type, one signature over both (github.com/secure-systems-lab/dsse).

The protocol allows more than we write: several signatures, URL-safe base64, members to be skipped. An envelope of ours
has one signature and one form, so that nobody can add to it what another reader would see.
"""

from __future__ import annotations

from typing import Any, Final

from helm.contracts.form import JSONValue
from helm.crypto import domains
from helm.crypto.ed25519 import Signer
from helm.evidence.envelopes import in_toto
from helm.evidence.envelopes.kinds import EnvelopeKind
from helm.evidence.envelopes.parted import OWN_TYPE, WHERE, Parted, base64_of, from_base64, odd, signature_of

MEMBERS: Final = frozenset({"payload", "payloadType", "signatures"})
OF_SIGNATURE: Final = frozenset({"keyid", "sig"})


def said_of(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding behind its first word, which is the domain (protocol.md, PAE)."""
    kind = payload_type.encode()
    return b"%d %b %d %b" % (len(kind), kind, len(payload), payload)


def dsse_of(payload_type: str, payload: bytes, pen: Signer) -> dict[str, JSONValue]:
    """Return the signed envelope. Raises PurposeMismatch."""
    signature = pen.sign(domains.DSSE, said_of(payload_type, payload))
    return {
        "payload": base64_of(payload),
        "payloadType": payload_type,
        "signatures": [{"keyid": pen.key_id, "sig": base64_of(bytes.fromhex(signature))}],
    }


def take_apart(body: Any, sigstore: bool = False) -> Parted:
    """Return what stands in an envelope. Raises Invalid for another form."""
    if type(body) is not dict or body.keys() != MEMBERS:
        raise odd("not the three members of a DSSE envelope, and no other")
    signatures, payload_type = body["signatures"], body["payloadType"]
    if type(signatures) is not list or len(signatures) != 1:
        raise odd("not exactly one signature")
    if type(signatures[0]) is not dict or signatures[0].keys() != OF_SIGNATURE:
        raise odd("not the two members of a signature, and no other")
    key_id = signatures[0]["keyid"]
    if type(payload_type) is not str or type(key_id) is not str:
        raise odd("a payload type or a keyid that is no text")
    payload = from_base64(body["payload"], "payload")
    kind, fault = kind_of(payload_type, payload, sigstore)
    return Parted(
        kind=kind,
        key_id=key_id,
        payload_type=payload_type,
        payload=payload,
        header_fault=fault,
        domain=domains.DSSE,
        said=said_of(payload_type, payload),
        signature=signature_of(from_base64(signatures[0]["sig"], "signature")),
    )


def kind_of(payload_type: str, payload: bytes, sigstore: bool) -> tuple[EnvelopeKind, str]:
    """Return the kind that a payload of this type makes of the envelope, and what is wrong with the type."""
    if payload_type == OWN_TYPE and not sigstore:
        return EnvelopeKind.DSSE, ""
    if payload_type != in_toto.PAYLOAD_TYPE:
        kind = EnvelopeKind.SIGSTORE if sigstore else EnvelopeKind.DSSE
        return kind, f"its payload is of type {payload_type[:80]!r}, which HELM does not sign"
    if sigstore:
        return EnvelopeKind.SIGSTORE, ""
    is_provenance = in_toto.predicate_of(payload, WHERE) == in_toto.PROVENANCE
    return (EnvelopeKind.SLSA if is_provenance else EnvelopeKind.IN_TOTO), ""
