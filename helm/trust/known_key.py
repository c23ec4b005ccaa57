"""A key that a trust event added, with the moments from which it counts, and from which it no longer does."""

from __future__ import annotations

from enum import StrEnum

import attrs

from helm.contracts.form import JSONValue
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey


class KeyStatus(StrEnum):
    """What a key is at the latest event."""

    ACTIVE = "ACTIVE"
    ROTATED = "ROTATED"
    REVOKED = "REVOKED"


@attrs.frozen(kw_only=True)
class Moment:
    """An event by both clocks: its height in the registry, its node's lamport in the ProofGraph."""

    height: int
    lamport: int

    def body(self) -> dict[str, JSONValue]:
        """Return the moment as a JSON object."""
        return {"height": self.height, "lamport": self.lamport}


def later(moment: Moment, moved: Moment) -> Moment:
    """Return what `moment` is, once the event at the height of `moved` has its node."""
    return moved if moment.height == moved.height else moment


@attrs.frozen(kw_only=True)
class KnownKey:
    """One key for one purpose. It counts from `added` on, up to and without `rotated` or `revoked`."""

    public_key: PublicKey
    purpose: KeyPurpose
    added: Moment
    rotated: Moment | None = None
    revoked: Moment | None = None
    replaced_by: str = ""

    @property
    def status(self) -> KeyStatus:
        """What became of the key; a revocation outweighs a rotation."""
        if self.revoked is not None:
            return KeyStatus.REVOKED
        return KeyStatus.ACTIVE if self.rotated is None else KeyStatus.ROTATED

    @property
    def is_active(self) -> bool:
        """Whether the key counts now."""
        return self.status is KeyStatus.ACTIVE

    def ended(self, lamport: int) -> str:
        """Say why the key does not count in the node at `lamport`, or "" where it does."""
        if lamport < self.added.lamport:
            return f"was added at lamport {self.added.lamport}"
        for moment, word in ((self.rotated, "rotated"), (self.revoked, "revoked")):
            if moment is not None and lamport >= moment.lamport:
                return f"was {word} at lamport {moment.lamport}"
        return ""

    def moved(self, moment: Moment) -> KnownKey:
        """Return the key with the moments at this height where the node of their event turned out to stand."""
        return attrs.evolve(
            self,
            added=later(self.added, moment),
            rotated=self.rotated and later(self.rotated, moment),
            revoked=self.revoked and later(self.revoked, moment),
        )

    def body(self) -> dict[str, JSONValue]:
        """Return the key as a JSON object; a moment that never came is null."""
        return {
            "key_id": self.public_key.key_id,
            "public_key": self.public_key.hex,
            "purpose": self.purpose.value,
            "status": self.status.value,
            "added": self.added.body(),
            "rotated": None if self.rotated is None else self.rotated.body(),
            "revoked": None if self.revoked is None else self.revoked.body(),
            "replaced_by": self.replaced_by,
        }
