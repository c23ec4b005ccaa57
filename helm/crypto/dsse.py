"""A DSSE envelope: bytes of a named type, and who signed them (github.com/secure-systems-lab/dsse, version 1.0).

What is signed is the encoding below, never the JSON around it, so that nobody has to agree on a form of JSON. Reading
an envelope checks no signature: `pae` says over which bytes one has to be.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.canonical import canonical, parse
from helm.crypto.radix64 import from_base64, to_base64

MAX_ENVELOPE_BYTES: Final = 16 * 1024 * 1024
"""Longest envelope that is looked at: provenance of a large build is some megabytes (T4)."""

MAX_DEPTH: Final = 8
"""Deepest nesting of an envelope, which needs three levels (T4)."""

MAX_SIGNATURES: Final = 16
"""Most signatures on one envelope: each costs a verification (T4)."""

MAX_TYPE: Final = 255
"""Longest name of a payload's type: a media type or a URI, which goes into messages (T4)."""

MAX_KEY_ID: Final = 512
"""Longest name of a key (T4)."""

HINT: Final = "hand over the envelope as its signer wrote it: payload, payloadType and signatures"


@attrs.frozen(kw_only=True)
class EnvelopeSignature:
    """One signature, and the name of its key: that one routes, it is never trusted."""

    key_id: str
    raw: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class Envelope:
    """What is said to be signed, and by whom; nothing of it is believed yet."""

    payload_type: str
    payload: bytes = attrs.field(repr=False)
    signatures: tuple[EnvelopeSignature, ...]

    @property
    def signed_bytes(self) -> bytes:
        """The bytes that a signature has to be over."""
        return pae(self.payload_type, self.payload)


def pae(payload_type: str, payload: bytes) -> bytes:
    """Return the pre-authentication encoding of a payload and its type (protocol.md, "Signature Definition")."""
    name = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(name), name, len(payload), payload)


def read_envelope(raw: bytes) -> Envelope:
    """Return the envelope of these bytes of JSON. Raises Malformed, and Invalid for what is no envelope."""
    return envelope_of(parse(raw, max_bytes=MAX_ENVELOPE_BYTES, max_depth=MAX_DEPTH))


def envelope_of(body: Any) -> Envelope:
    """Return the envelope of a JSON value that was read strictly. Raises Invalid.

    The protocol lets a reader pass over members that it does not know; here they are refused: they are not signed, and
    somebody might believe them.
    """
    check_members(body, {"payload", "payloadType", "signatures"}, frozenset(), "envelope")
    payload_type, signatures = body["payloadType"], body["signatures"]
    if type(payload_type) is not str or not 0 < len(payload_type) <= MAX_TYPE or not payload_type.isprintable():
        raise odd(f"payloadType is not a text of 1 to {MAX_TYPE} characters")
    if type(signatures) is not list or not 0 < len(signatures) <= MAX_SIGNATURES:
        raise odd(f"signatures is not a list of 1 to {MAX_SIGNATURES}")
    return Envelope(
        payload_type=payload_type,
        payload=bytes_of(body["payload"], "payload"),
        signatures=tuple(signature_of(one) for one in signatures),
    )


def signature_of(body: Any) -> EnvelopeSignature:
    """Return one signature of an envelope. Raises Invalid."""
    check_members(body, {"sig"}, frozenset({"keyid"}), "signature")
    key_id = body.get("keyid", "")
    if type(key_id) is not str or len(key_id) > MAX_KEY_ID:
        raise odd(f"keyid is not a text of up to {MAX_KEY_ID} characters")
    raw = bytes_of(body["sig"], "sig")
    if not raw:
        raise odd("a signature is empty")
    return EnvelopeSignature(key_id=key_id, raw=raw)


def check_members(body: Any, must: set[str], may: frozenset[str], what: str) -> None:
    """Raise Invalid unless a value is an object with exactly these members."""
    if type(body) is not dict or not must <= body.keys() <= must | may:
        raise odd(f"the {what} is not an object with the members {', '.join(sorted(must))} alone")


def bytes_of(text: Any, what: str) -> bytes:
    """Return the bytes of a member in base64. Raises Invalid."""
    if type(text) is not str:
        raise odd(f"{what} is not a text")
    try:
        return from_base64(text)
    except ValueError as problem:
        raise odd(f"{what} is {problem}") from None


def written_envelope(envelope: Envelope) -> bytes:
    """Return the canonical bytes of an envelope; reading them gives the same one."""
    signatures = [{"keyid": one.key_id, "sig": to_base64(one.raw)} for one in envelope.signatures]
    body = {"payload": to_base64(envelope.payload), "payloadType": envelope.payload_type, "signatures": signatures}
    return canonical(body, max_bytes=MAX_ENVELOPE_BYTES)


def odd(what: str) -> Invalid:
    return Invalid(what, "DSSE envelope", HINT)
