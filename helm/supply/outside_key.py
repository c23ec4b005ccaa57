"""A public key of somebody else's, as the caller brings it: Ed25519 or P-256, and no third kind.

A key says by its own bytes which algorithm it is for, and is used for no other, so that nothing that is signed can
choose how it is verified.
"""

from __future__ import annotations

from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.ed25519 import PublicKey, SignatureInvalid
from helm.crypto.hashing import digest
from helm.crypto.radix64 import from_base64
from helm.evidence.es256 import Es256Key
from helm.supply.p256 import key_of_point, verify_der

BEGIN: Final = "-----BEGIN PUBLIC KEY-----"
END: Final = "-----END PUBLIC KEY-----"

ED25519: Final = bytes.fromhex("302a300506032b6570032100")
"""What stands before an Ed25519 key in its SubjectPublicKeyInfo (RFC 8410 section 4)."""

P256: Final = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
"""What stands before an uncompressed point of P-256 in its SubjectPublicKeyInfo (RFC 5480 section 2)."""

HEX_DIGITS: Final = 64
MAX_TEXT: Final = 1024
"""Longest text of a key that is looked at (T4)."""

HINT: Final = "give a PEM file of a public key, Ed25519 or P-256, or 64 hex digits of an Ed25519 key"


@attrs.frozen(kw_only=True)
class OutsideKey:
    """A key that was checked once and may be asked often."""

    der: bytes
    """Its SubjectPublicKeyInfo: its identity, in one form."""
    key: PublicKey | Es256Key = attrs.field(repr=False, eq=False)

    @property
    def is_ed25519(self) -> bool:
        """Whether it is one; else it is of P-256."""
        return isinstance(self.key, PublicKey)

    @property
    def raw(self) -> bytes:
        """The key without its frame."""
        return self.der[len(ED25519 if self.is_ed25519 else P256) :]

    @property
    def fingerprint(self) -> bytes:
        """The hash of the key in its frame, which is how logs name their keys (RFC 6962 section 3.2)."""
        return digest(self.der)

    def verify(self, message: bytes, signature: bytes) -> None:
        """Check a signature in the form that its algorithm has. Raises SignatureInvalid."""
        if isinstance(self.key, PublicKey):
            self.key.verify(b"", message, signature.hex())
        else:
            verify_der(self.key, message, signature)


def key_of_der(der: bytes) -> OutsideKey:
    """Return the key of a SubjectPublicKeyInfo. Raises Invalid for any other kind of key."""
    try:
        if der.startswith(ED25519):
            return OutsideKey(der=der, key=PublicKey.from_hex(der[len(ED25519) :].hex()))
        if der.startswith(P256):
            return OutsideKey(der=der, key=key_of_point(der[len(P256) :]))
    except SignatureInvalid as problem:
        raise Invalid(str(problem), "public key", HINT) from None
    raise Invalid("neither Ed25519 nor P-256", "public key", HINT)


def read_key(text: str) -> OutsideKey:
    """Return the key of a PEM text, or of 64 lower-case hex digits. Raises Invalid."""
    text = text.strip()
    if len(text) > MAX_TEXT:
        raise Invalid("too long to be a public key", "public key", HINT)
    if len(text) == HEX_DIGITS and not text.strip("0123456789abcdef"):
        return key_of_der(ED25519 + bytes.fromhex(text))
    if not (text.startswith(BEGIN) and text.endswith(END)):
        raise Invalid("no public key", "public key", HINT)
    try:
        der = from_base64("".join(text[len(BEGIN) : -len(END)].split()))
    except ValueError as problem:
        raise Invalid(f"its text is {problem}", "public key", HINT) from None
    return key_of_der(der)
