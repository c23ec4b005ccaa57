"""ECDSA on P-256 as transparency logs and builders sign: DER in its one form.

Which of the two values of S a signer took is not limited, because the logs of the world do not limit it: no identity
hangs on these bytes. The one verifier of the house takes the lower, and whoever has one value has the other.
"""

from __future__ import annotations

from helm.crypto.ed25519 import SignatureInvalid
from helm.evidence.es256 import NUMBER_BYTES, Es256Key, N

SEQUENCE, INTEGER = 0x30, 0x02

MIN_SIGNATURE, MAX_SIGNATURE = 8, 72
"""Shortest and longest DER of two numbers below the order; all its lengths are single bytes."""


def key_of_point(point: bytes) -> Es256Key:
    """Return the key of the 65 bytes of an uncompressed point. Raises SignatureInvalid."""
    return Es256Key.from_hex(point.hex())


def verify_der(key: Es256Key, message: bytes, signature: bytes) -> None:
    """Check a DER signature with SHA-256 over a message. Raises SignatureInvalid."""
    r, s = numbers_of(signature)
    lower = min(s, N - s)
    key.verify(message, f"{r:0{2 * NUMBER_BYTES}x}{lower:0{2 * NUMBER_BYTES}x}")


def numbers_of(signature: bytes) -> tuple[int, int]:
    """Return r and s, each from 1 to the order less one. Raises SignatureInvalid unless the DER is in its one form."""
    size = len(signature)
    if not MIN_SIGNATURE <= size <= MAX_SIGNATURE or signature[:2] != bytes((SEQUENCE, size - 2)):
        raise SignatureInvalid("the signature is not one sequence of DER")
    r, rest = number_in(signature[2:])
    s, rest = number_in(rest)
    if rest:
        raise SignatureInvalid("the signature goes on behind its numbers")
    if not (0 < r < N and 0 < s < N):
        raise SignatureInvalid("the signature's numbers are out of range")
    return r, s


def number_in(der: bytes) -> tuple[int, bytes]:
    """Return the number that DER begins with, and what follows. Raises SignatureInvalid for another form of it."""
    if len(der) < 3 or der[0] != INTEGER or len(der) < 2 + der[1]:
        raise SignatureInvalid("the signature has no two numbers")
    digits, rest = der[2 : 2 + der[1]], der[2 + der[1] :]
    number = int.from_bytes(digits, "big", signed=True)
    if number < 0 or digits != number.to_bytes(number.bit_length() // 8 + 1, "big"):
        raise SignatureInvalid("the signature's numbers are not in their one form")
    return number, rest
