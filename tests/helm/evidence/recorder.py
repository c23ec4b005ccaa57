"""A recorder on a host: it writes what leaves that host, chains it and signs it, as HELM's readers expect it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

import attrs
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from helm.crypto.canonical import canonical
from helm.crypto.hashing import digest, sha256
from helm.evidence.es256 import N
from helm.evidence.host_receipt import CONTEXT, ED25519, ES256, GENESIS

AT: Final = "2027-01-15T08:00:00Z"
"""The moment that tests' logs begin at."""

Body = dict[str, Any]


@attrs.define
class Recorder:
    """One recorder with a key of its own; `bodies` is what it wrote so far."""

    algorithm: str = ED25519
    number: int = 1
    host_id: str = "host-1"
    bodies: list[Body] = attrs.field(factory=list)

    @property
    def public_key(self) -> str:
        """Return the key that a reader is given."""
        if self.algorithm == ED25519:
            return self._ed25519().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw).hex()
        point = self._p256().public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        return point.hex()

    def saw(self, host: str = "api.example.com", address: str = "93.184.216.34", port: int = 443, **more: Any) -> Body:
        """Write one connection down. `event` adds to the event, everything else to the receipt."""
        event = {"destination_ip": address, "destination_port": port, "protocol": "tcp", "timestamp": AT}
        event |= {"destination_host": host} if host else {}
        event |= more.pop("event", {})
        body = {
            "event": event,
            "host_id": self.host_id,
            "prev_receipt_hash": self.bodies[-1]["receipt_hash"] if self.bodies else GENESIS,
            "receipt_hash": "",
            "receipt_id": f"hr-{len(self.bodies) + 1}",
            "recorded_at": AT,
            "signature": "",
            "signature_algorithm": self.algorithm,
            "signing_key_id": f"recorder-{self.number}",
        } | more
        self.bodies.append(self.sealed(body))
        return self.bodies[-1]

    def sealed(self, body: Body) -> Body:
        """Return a receipt with its hash and its signature, whatever it says."""
        body = body | {"receipt_hash": "", "signature": ""}
        body["receipt_hash"] = sha256(canonical(body))
        return body | {"signature": self.sign(CONTEXT + canonical(body))}

    def rechained(self, change: Callable[[list[Body]], object]) -> list[Body]:
        """Return the chain after a change, hashed, linked and signed anew: what only the recorder can do."""
        bodies: list[Body] = json.loads(json.dumps(self.bodies))
        change(bodies)
        before = bodies[0]["prev_receipt_hash"]
        for number, body in enumerate(bodies):
            bodies[number] = self.sealed(body | {"prev_receipt_hash": before})
            before = bodies[number]["receipt_hash"]
        return bodies

    def sign(self, message: bytes) -> str:
        """Return the one form of a signature."""
        if self.algorithm == ED25519:
            return self._ed25519().sign(message).hex()
        r, s = decode_dss_signature(self._p256().sign(message, ec.ECDSA(SHA256())))
        return f"{r:064x}{min(s, N - s):064x}"

    def _ed25519(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self._seed())

    def _p256(self) -> ec.EllipticCurvePrivateKey:
        return ec.derive_private_key(int.from_bytes(self._seed(), "big") % N, ec.SECP256R1())

    def _seed(self) -> bytes:
        return digest(f"{self.algorithm} {self.number}".encode())


def jsonl(bodies: list[Body]) -> bytes:
    """Return receipts as lines."""
    return b"".join(json.dumps(body).encode() + b"\n" for body in bodies)


def of_chain(bodies: list[Body]) -> bytes:
    """Return receipts as a chain object."""
    return json.dumps({"receipts": bodies, "version": "external_receipt_chain.v1"}, indent=2).encode()


def other_s(body: Body) -> Body:
    """Return a receipt with the other signature that ECDSA allows for the same statement."""
    r, s = body["signature"][:64], int(body["signature"][64:], 16)
    return body | {"signature": f"{r}{N - s:064x}"}


__all__ = ["AT", "ED25519", "ES256", "Body", "Recorder", "jsonl", "of_chain", "other_s"]
