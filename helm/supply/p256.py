"""ECDSA on P-256 with SHA-256, as transparency logs and builders sign: one door to OpenSSL, strict before it.

A signature has one form here: DER without spare bytes, both numbers from 1 to the order less one. Which of the two
values of S a signer took is not limited, because the logs of the world do not limit it: no identity hangs on the bytes.
"""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from helm.crypto.ed25519 import SignatureInvalid

N: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order of the group (SEC 2 section 2.4.2)."""

MAX_SIGNATURE: Final = 72
"""Longest DER of two numbers below the order."""


def check_point(point: bytes) -> None:
    """Raise SignatureInvalid unless these are the 65 bytes of a point on the curve."""
    read_point(point)


def verify_p256(point: bytes, message: bytes, signature: bytes) -> None:
    """Check a DER signature over a message under an uncompressed point. Raises SignatureInvalid."""
    check_form(signature)
    try:
        read_point(point).verify(signature, message, ECDSA(SHA256()))
    except InvalidSignature:
        raise SignatureInvalid("the signature is not this key's over this statement") from None


def read_point(point: bytes) -> EllipticCurvePublicKey:
    try:
        return EllipticCurvePublicKey.from_encoded_point(SECP256R1(), point)
    except ValueError:
        raise SignatureInvalid("the public key is not a point of P-256") from None


def check_form(signature: bytes) -> None:
    """Raise SignatureInvalid for a signature that is not in its one form."""
    if len(signature) > MAX_SIGNATURE:
        raise SignatureInvalid("the signature is longer than one of P-256 can be")
    try:
        r, s = decode_dss_signature(signature)
    except ValueError:
        raise SignatureInvalid("the signature is not DER") from None
    if not (0 < r < N and 0 < s < N) or encode_dss_signature(r, s) != signature:
        raise SignatureInvalid("the signature's numbers are not in their one form")
