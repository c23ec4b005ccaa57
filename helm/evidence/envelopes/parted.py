"""An envelope taken apart: what was signed, by whom it says, and nothing of it believed yet."""

from __future__ import annotations

import base64
import binascii
from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.ed25519 import SIGNATURE_BYTES
from helm.evidence.envelopes.kinds import EnvelopeKind

WHERE: Final = "envelope"

OWN_TYPE: Final = "application/vnd.helm.evidence+json"
"""The type of a payload that is our own statement."""


@attrs.frozen(kw_only=True)
class Parted:
    """What stands in an envelope that has the form of its kind."""

    kind: EnvelopeKind
    key_id: str
    payload_type: str
    payload: bytes = attrs.field(repr=False)
    header_fault: str
    """What is wrong with its header, "" for the header that its kind always has."""
    domain: bytes
    said: bytes = attrs.field(repr=False)
    """What is signed behind the domain."""
    signature: str
    claims: tuple[str, str] = ("", "")
    """Issuer and subject, where its header names them."""


def signature_of(raw: bytes) -> str:
    """Return a signature as HELM writes it. Raises Invalid for one of another length."""
    if len(raw) != SIGNATURE_BYTES:
        raise odd(f"a signature of {len(raw)} bytes; Ed25519 has {SIGNATURE_BYTES}")
    return raw.hex()


def base64url_of(raw: bytes) -> bytes:
    """Return the form for URLs, not padded (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def from_base64url(text: bytes, what: str) -> bytes:
    """Return the bytes of a text in the one form in which `base64url_of` writes them. Raises Invalid."""
    try:
        raw = base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as problem:
        raise odd(f"its {what} is not base64url: {problem}") from problem
    if base64url_of(raw) != text:
        raise odd(f"its {what} is not in the one form of base64url")
    return raw


def odd(what: str) -> Invalid:
    """Return the refusal of something that is no envelope of ours."""
    return Invalid(what, WHERE, "hand over the envelope as it was made: helm evidence envelope get")
