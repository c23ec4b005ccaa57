"""The public key of a recorder on a host, as its reader brings it: what it is decides what signatures are read as.

A chain names an algorithm and a key of its own. Neither is asked: a P-256 key never reads an Ed25519 signature, and no
chain vouches for itself (T5).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.ed25519 import PublicKey, SignatureInvalid
from helm.evidence.host_receipt import CONTEXT, ED25519, ES256, HostReceipt

Verifier = Callable[[bytes, str], None]
"""Takes what is signed and the signature; raises SignatureInvalid."""

DIGITS: Final = {64: ED25519, 130: ES256}
"""How many hex digits a key of each algorithm has."""

HINT: Final = "64 hex digits of an Ed25519 key, or 130 of a P-256 key: 04, x and y"


@attrs.frozen
class HostKey:
    """A recorder's public key."""

    algorithm: str
    hex: str

    @classmethod
    def read(cls, text: str, where: str) -> HostKey:
        """Return the key that a text is. Raises Invalid."""
        digits = text.strip()
        algorithm = DIGITS.get(len(digits))
        if algorithm is None:
            raise Invalid(f"{len(digits)} characters are no public key", where, HINT)
        try:
            if algorithm == ED25519:
                PublicKey.from_hex(digits)
            else:
                from helm.evidence.es256 import Es256Key

                Es256Key.from_hex(digits)
        except SignatureInvalid as problem:
            raise Invalid(str(problem), where, HINT) from problem
        return cls(algorithm, digits)

    def check(self, receipts: list[HostReceipt]) -> None:
        """Raise Invalid unless this key signed every receipt, by its own algorithm."""
        verify = self._verifier()
        for receipt in receipts:
            if receipt.signature_algorithm != self.algorithm:
                what = f"says {receipt.signature_algorithm}, and the key that you brought is for {self.algorithm}"
                raise Invalid(what, receipt.where, "bring the key of the recorder that wrote this chain")
            try:
                verify(receipt.signed, receipt.signature)
            except SignatureInvalid as problem:
                hint = "it was edited, or another recorder wrote it"
                raise Invalid(f"{receipt.receipt_id}: {problem}", receipt.where, hint) from problem

    def _verifier(self) -> Verifier:
        if self.algorithm == ED25519:
            key = PublicKey.from_hex(self.hex)
            return lambda statement, signature: key.verify(CONTEXT, statement, signature)
        from helm.evidence.es256 import Es256Key

        other = Es256Key.from_hex(self.hex)
        return lambda statement, signature: other.verify(CONTEXT + statement, signature)
