"""Ed25519, strictly: one kind of statement per key, and one answer for every signature.

RFC 8032 leaves room: what one library accepts, the next refuses. A receipt that verifies here must verify
anywhere, and its signature must have one form only, because the next receipt links to it (T5). So the odd
ones are refused before libsodium is asked: S not below L, a key or an R of low order or not canonical.
"""

from __future__ import annotations

from typing import NoReturn, Protocol

import attrs
import nacl.bindings
import nacl.exceptions

from helm.crypto.domains import SIGNS, KeyPurpose, PurposeMismatch
from helm.crypto.hashing import content_id, sha256

KEY_ID = "key_"
"""How the id of a key begins."""

SEED_BYTES = 32
POINT_BYTES = 32
SIGNATURE_BYTES = 64

P = 2**255 - 19
"""The field's prime (RFC 8032 section 5.1)."""

L = 2**252 + 27742317777372353535851937790883648493
"""The order of the group that signatures live in (RFC 8032 section 5.1)."""

Y_BITS = 2**255 - 1
"""The bits of an encoded point that hold y; the bit above them is the sign of x (RFC 8032 section 5.1.2)."""

Y_OF_ORDER_8 = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7

LOW_ORDER_Y = frozenset({1, P - 1, 0, Y_OF_ORDER_8, P - Y_OF_ORDER_8})
"""y of all eight points whose order divides the cofactor 8 (RFC 8032 section 5.1): the identity, the one of
order 2, two of order 4, four of order 8. Whatever the sign bit: x = 0 with its sign set is among them."""


class SignatureInvalid(Exception):
    """The signature, or the key that it is checked with, is not one that HELM accepts."""


class Signer(Protocol):
    """Whatever holds a private key and signs: software here, an HSM behind the same port."""

    @property
    def key_id(self) -> str:
        """The name that routes to the public key. It is never trusted."""

    @property
    def purpose(self) -> KeyPurpose:
        """The one thing this key is for."""

    @property
    def public_key(self) -> str:
        """64 lower-case hex digits."""

    def sign(self, domain: bytes, message: bytes) -> str:
        """Return 128 hex digits over domain and message. Raises PurposeMismatch."""


def key_id(public_key: bytes) -> str:
    """Return the name of a raw public key."""
    return content_id(KEY_ID, sha256(public_key))


@attrs.frozen(kw_only=True, eq=False)
class SigningKey:
    """A private key in this process's memory. It is never printed, compared, copied or pickled."""

    key_id: str
    purpose: KeyPurpose
    public_key: str
    _secret: bytes = attrs.field(repr=False)
    _signs: frozenset[bytes] = attrs.field(repr=False)

    @classmethod
    def from_seed(cls, seed: bytes, purpose: KeyPurpose) -> SigningKey:
        """Return the key whose 32 secret bytes (RFC 8032 section 5.1.5) are `seed`, for one purpose."""
        if len(seed) != SEED_BYTES:
            raise ValueError(f"an Ed25519 seed has {SEED_BYTES} bytes")
        public, secret = nacl.bindings.crypto_sign_seed_keypair(seed)
        return cls(
            key_id=key_id(public),
            purpose=purpose,
            public_key=public.hex(),
            secret=secret,
            signs=SIGNS[purpose],
        )

    def sign(self, domain: bytes, message: bytes) -> str:
        """Return 128 hex digits over domain and message. Raises PurposeMismatch, the secret untouched."""
        if domain not in self._signs:
            raise PurposeMismatch(self.purpose, domain)
        return nacl.bindings.crypto_sign(domain + message, self._secret)[:SIGNATURE_BYTES].hex()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a signing key does not leave the process it was read in")


@attrs.frozen(kw_only=True)
class PublicKey:
    """A public key that was checked once and may be asked often."""

    hex: str
    raw: bytes = attrs.field(repr=False, eq=False)

    @classmethod
    def from_hex(cls, public_key: str) -> PublicKey:
        """Return the checked key of 64 lower-case hex digits. Raises SignatureInvalid."""
        raw = from_lower_hex(public_key, POINT_BYTES, "public key")
        check_point(raw, "public key")
        if not nacl.bindings.crypto_core_ed25519_is_valid_point(raw):
            # Not on the curve, or with a part of low order that no honest key has (RFC 8032 section 5.1.5).
            raise SignatureInvalid("the public key is not a point of the prime-order group")
        return cls(hex=public_key, raw=raw)

    @property
    def key_id(self) -> str:
        """The name that routes to this key."""
        return key_id(self.raw)

    def verify(self, domain: bytes, message: bytes, signature: str) -> None:
        """Check `signature`, 128 lower-case hex digits, over domain and message. Raises SignatureInvalid."""
        raw = from_lower_hex(signature, SIGNATURE_BYTES, "signature")
        check_point(raw[:POINT_BYTES], "signature's R")
        if int.from_bytes(raw[POINT_BYTES:], "little") >= L:  # RFC 8032 section 5.1.7, step 1
            raise SignatureInvalid("the signature's S is not below L: it could be written in a second way")
        try:
            nacl.bindings.crypto_sign_open(raw + domain + message, self.raw)
        except nacl.exceptions.BadSignatureError:
            raise SignatureInvalid("the signature is not this key's over this statement") from None


def verify(public_key: str, domain: bytes, message: bytes, signature: str) -> None:
    """Check one signature; whoever checks many of one key keeps its PublicKey. Raises SignatureInvalid."""
    PublicKey.from_hex(public_key).verify(domain, message, signature)


def from_lower_hex(digits: str, size: int, what: str) -> bytes:
    """Return `size` bytes from their one written form: fromhex alone takes capitals and blanks.

    Raises SignatureInvalid.
    """
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        raise SignatureInvalid(f"the {what} is not hexadecimal") from None
    if len(raw) != size or raw.hex() != digits:
        raise SignatureInvalid(f"the {what} is not {2 * size} lower-case hex digits")
    return raw


def check_point(encoded: bytes, what: str) -> None:
    """Refuse a point that no honest signer makes. Raises SignatureInvalid."""
    y = int.from_bytes(encoded, "little") & Y_BITS
    if y >= P:  # RFC 8032 section 5.1.3, step 1
        raise SignatureInvalid(f"the {what} is not in canonical form")
    if y in LOW_ORDER_Y:
        raise SignatureInvalid(f"the {what} is of low order: it verifies statements that nobody made")
