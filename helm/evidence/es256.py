"""ES256, strictly: ECDSA over P-256 with SHA-256, and one signature per statement.

Whoever has a signature (r, s) has (r, n - s) too, and both verify. So that a host receipt has one form, only the lower
s is accepted; a recorder whose hardware yields the higher one writes n - s instead, for which nobody needs a key.
"""

from __future__ import annotations

from typing import Final

import attrs
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from helm.crypto.ed25519 import SignatureInvalid, from_lower_hex

POINT_BYTES: Final = 65
"""0x04 and both coordinates (SEC 1 section 2.3.3): a compressed point would be a second way to write a key, and
is shorter. The library takes no other form of this length."""

NUMBER_BYTES: Final = 32

N: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order of the group (FIPS 186-5, SP 800-186 section 3.2.1.3)."""


@attrs.frozen
class Es256Key:
    """A public key on P-256 that was checked once."""

    _key: EllipticCurvePublicKey = attrs.field(repr=False)

    @classmethod
    def from_hex(cls, public_key: str) -> Es256Key:
        """Return the key of 130 lower-case hex digits. Raises SignatureInvalid."""
        raw = from_lower_hex(public_key, POINT_BYTES, "public key")
        try:
            return cls(EllipticCurvePublicKey.from_encoded_point(SECP256R1(), raw))
        except ValueError as problem:
            raise SignatureInvalid("the public key is not an uncompressed point of P-256") from problem

    def verify(self, message: bytes, signature: str) -> None:
        """Check r and s, 64 lower-case hex digits each (RFC 7518 section 3.4). Raises SignatureInvalid."""
        raw = from_lower_hex(signature, 2 * NUMBER_BYTES, "signature")
        r, s = int.from_bytes(raw[:NUMBER_BYTES], "big"), int.from_bytes(raw[NUMBER_BYTES:], "big")
        if s > N // 2:
            raise SignatureInvalid("the signature's s is the higher one of two: write n - s, which is the one form")
        try:
            self._key.verify(encode_dss_signature(r, s), message, ECDSA(SHA256()))
        except InvalidSignature:
            raise SignatureInvalid("the signature is not this key's over this statement") from None
