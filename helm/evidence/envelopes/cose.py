"""COSE_Sign1 around the statement, and the same as a SCITT signed statement (RFC 9052, RFC 9597, SCITT architecture).

Everything in the header is protected. A signed statement says in CWT claims who says something of what; that any
transparency service has seen it, it does not say.
"""

from __future__ import annotations

from typing import Any, Final

from helm.contracts.errors import Invalid
from helm.crypto import domains
from helm.crypto.ed25519 import Signer
from helm.evidence.envelopes.cbor import Tagged, decode, encode
from helm.evidence.envelopes.in_toto import log_urn
from helm.evidence.envelopes.kinds import EnvelopeKind
from helm.evidence.envelopes.parted import OWN_TYPE, Parted, odd, signature_of
from helm.evidence.envelopes.statement import EvidenceStatement

SIGN1: Final = 18
"""The tag of a COSE_Sign1 (RFC 9052 section 2)."""

EDDSA: Final = -8
ALG, CONTENT_TYPE, KID, CWT_CLAIMS = 1, 3, 4, 15
ISSUER, SUBJECT = 1, 2

Claims = tuple[str, str]
NO_CLAIMS: Final = ("", "")


def claims_of(statement: EvidenceStatement) -> Claims:
    """Return who says the statement, and of what, as URIs."""
    return log_urn(statement.log_id), f"urn:helm:evidence:{statement.evidence_hash}"


def protected_of(key_id: str, claims: Claims = NO_CLAIMS) -> bytes:
    """Return the one protected header under which a key signs, with claims or without."""
    header: dict[int, Any] = {ALG: EDDSA, CONTENT_TYPE: OWN_TYPE, KID: key_id.encode()}
    if claims != NO_CLAIMS:
        header[CWT_CLAIMS] = {ISSUER: claims[0], SUBJECT: claims[1]}
    return encode(header)


def said_of(protected: bytes, payload: bytes) -> bytes:
    """Return the Sig_structure behind its first item, which is the domain (RFC 9052 section 4.4)."""
    return encode(protected) + encode(b"") + encode(payload)


def cose_of(payload: bytes, pen: Signer, claims: Claims = NO_CLAIMS) -> bytes:
    """Return the signed message. Raises PurposeMismatch."""
    protected = protected_of(pen.key_id, claims)
    signature = pen.sign(domains.COSE, said_of(protected, payload))
    return encode(Tagged(SIGN1, [protected, {}, payload, bytes.fromhex(signature)]))


def take_apart(raw: bytes) -> Parted:
    """Return what stands in a message. Raises Invalid for another form."""
    found = decode(raw)
    if not isinstance(found, Tagged) or found.tag != SIGN1 or type(found.value) is not list:
        raise odd("not a tagged COSE_Sign1")
    if [type(part) for part in found.value] != [bytes, dict, bytes, bytes]:
        raise odd("not the four parts of a COSE_Sign1")
    protected, unprotected, payload, signature = found.value
    key_id, claims, fault = judged(protected)
    if unprotected:
        fault = "it has a header that nobody signed"
    return Parted(
        kind=EnvelopeKind.COSE if claims == NO_CLAIMS else EnvelopeKind.SCITT,
        key_id=key_id,
        payload_type=OWN_TYPE,
        payload=payload,
        header_fault=fault,
        domain=domains.COSE,
        said=said_of(protected, payload),
        signature=signature_of(signature) if not fault else "",
        claims=claims,
    )


def judged(protected: bytes) -> tuple[str, Claims, str]:
    """Return key and claims of a header, and what is wrong with it. Raises Invalid for what is no header at all."""
    header = decode(protected)
    if type(header) is not dict:
        raise odd("its protected header is no map")
    if header.get(ALG) != EDDSA:
        return "", NO_CLAIMS, f"it is signed with algorithm {header.get(ALG)!r}"[:80] + ": EdDSA alone counts"
    key_id, claims = name_in(header.get(KID)), NO_CLAIMS
    said = header.get(CWT_CLAIMS)
    if type(said) is dict and type(said.get(ISSUER)) is type(said.get(SUBJECT)) is str:
        claims = (said[ISSUER], said[SUBJECT])
    if protected != protected_of(key_id, claims):
        return "", claims, "its header is not the fixed one: it asks to be read in another way"
    return key_id, claims, ""


def name_in(kid: object) -> str:
    """Return the key that a header names, "" for none that can be read."""
    try:
        return kid.decode() if type(kid) is bytes else ""
    except UnicodeDecodeError:
        return ""


def check_claims(parted: Parted, statement: EvidenceStatement, where: str) -> None:
    """Raise Invalid unless the claims of a header are those of the statement under it."""
    if parted.kind is EnvelopeKind.SCITT and parted.claims != claims_of(statement):
        raise Invalid("its header says it of something else than the statement does", where)
