"""JWS in its compact form, under a header of which everything but the key's name is fixed (RFC 7515, RFC 8037).

A header that says otherwise is not argued with: another algorithm, `none`, `crit`, a key that it brings, one more
member or a blank make other bytes, and other bytes are refused.
"""

from __future__ import annotations

from helm.contracts.errors import Malformed
from helm.crypto import domains
from helm.crypto.canonical import canonical, parse
from helm.crypto.ed25519 import Signer
from helm.evidence.envelopes.kinds import EnvelopeKind
from helm.evidence.envelopes.parted import OWN_TYPE, Parted, base64url_of, from_base64url, odd, signature_of

ALGORITHM = "EdDSA"
MAX_HEADER_BYTES = 1024
MAX_HEADER_DEPTH = 8
"""More than the fixed header has (T4)."""


def header_of(key_id: str) -> bytes:
    """Return the one protected header under which a key signs."""
    return canonical({"alg": ALGORITHM, "cty": OWN_TYPE, "kid": key_id, "typ": "helm-evidence+jws"})


def said_of(header: bytes, payload: bytes) -> bytes:
    """Return the signing input behind its first letters, which are the domain (RFC 7515 section 5.1)."""
    return b"%b.%b" % (base64url_of(header), base64url_of(payload))


def jws_of(payload: bytes, pen: Signer) -> bytes:
    """Return the signed token. Raises PurposeMismatch."""
    whole = said_of(header_of(pen.key_id), payload)
    signature = pen.sign(domains.JWS, whole.removeprefix(domains.JWS))
    return b"%b.%b" % (whole, base64url_of(bytes.fromhex(signature)))


def take_apart(raw: bytes) -> Parted:
    """Return what stands in a token. Raises Invalid for another form."""
    parts = raw.split(b".")
    if len(parts) != 3:
        raise odd("not the three parts of a JWS in its compact form")
    header, payload, signature = (
        from_base64url(part, what) for part, what in zip(parts, ("header", "payload", "signature"), strict=True)
    )
    key_id, fault = judged(header)
    return Parted(
        kind=EnvelopeKind.JWS,
        key_id=key_id,
        payload_type=OWN_TYPE,
        payload=payload,
        header_fault=fault,
        domain=domains.JWS,
        said=said_of(header, payload).removeprefix(domains.JWS),
        signature=signature_of(signature) if not fault else "",
    )


def judged(header: bytes) -> tuple[str, str]:
    """Return the key that a header names, and what is wrong with the header. Raises Invalid for no header at all."""
    try:
        body = parse(header, max_bytes=MAX_HEADER_BYTES, max_depth=MAX_HEADER_DEPTH)
    except Malformed as problem:
        raise odd(f"its header cannot be read in one way: {problem}") from problem
    if type(body) is not dict:
        raise odd("its header is no object")
    key_id = body.get("kid")
    if body.get("alg") != ALGORITHM:
        return "", f"it is signed with {str(body.get('alg'))[:40]!r}: {ALGORITHM} alone counts, whatever a header says"
    if type(key_id) is not str or header != header_of(key_id):
        return (
            "",
            "its header is not the fixed one: it asks to be read in another way, or brings what is to be believed",
        )
    return key_id, ""
