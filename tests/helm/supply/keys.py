"""Keys of others, as tests make them: P-256 and Ed25519, from seeds."""

from collections.abc import Callable

import attrs
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from helm.supply.outside_key import OutsideKey, key_of_der


@attrs.frozen(kw_only=True)
class Signing:
    """A private key of a log or a builder, with the public half as the house reads it."""

    private: EllipticCurvePrivateKey | Ed25519PrivateKey
    public: OutsideKey

    @property
    def pem(self) -> str:
        return self.private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")

    def sign(self, message: bytes) -> bytes:
        if isinstance(self.private, Ed25519PrivateKey):
            return self.private.sign(message)
        return self.private.sign(message, ECDSA(SHA256(), deterministic_signing=True))


def p256(number: int) -> Signing:
    return _signing(derive_private_key(number + 1, SECP256R1()))


def ed25519(number: int) -> Signing:
    return _signing(Ed25519PrivateKey.from_private_bytes(number.to_bytes(32, "big")))


def _signing(private: EllipticCurvePrivateKey | Ed25519PrivateKey) -> Signing:
    der = private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Signing(private=private, public=key_of_der(der))


KINDS: tuple[Callable[[int], Signing], ...] = (p256, ed25519)
