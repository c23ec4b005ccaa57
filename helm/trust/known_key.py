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
class Holding:
    """A role that a key has had from `granted` on, up to and without `revoked`."""

    role: str
    granted: Moment
    revoked: Moment | None = None

    def covers(self, lamport: int) -> bool:
        """Whether the key had the role in the node at `lamport`."""
        return self.granted.lamport <= lamport and (self.revoked is None or lamport < self.revoked.lamport)

    def body(self) -> dict[str, JSONValue]:
        """Return the holding as a JSON object."""
        revoked = None if self.revoked is None else self.revoked.body()
        return {"granted": self.granted.body(), "revoked": revoked, "role": self.role}


@attrs.frozen(kw_only=True)
class KnownKey:
    """One key for one purpose. It counts from `added` on, up to and without `rotated` or `revoked`.

    Its roles are its own: a key that replaces it has none until they are granted to it.
    """

    public_key: PublicKey
    purpose: KeyPurpose
    added: Moment
    rotated: Moment | None = None
    revoked: Moment | None = None
    replaced_by: str = ""
    roles: tuple[Holding, ...] = ()
    """In the order of their events; a role that was revoked and granted again stands here twice."""

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

    def has(self, role: str, lamport: int) -> bool:
        """Whether the key had a role in the node at `lamport`."""
        return any(holding.role == role and holding.covers(lamport) for holding in self.roles)

    @property
    def current_roles(self) -> list[str]:
        """The roles that the key has now, in order."""
        return sorted(holding.role for holding in self.roles if holding.revoked is None)

    def given(self, role: str, moment: Moment) -> KnownKey:
        """Return the key with one more role."""
        return attrs.evolve(self, roles=(*self.roles, Holding(role=role, granted=moment)))

    def taken(self, role: str, moment: Moment) -> KnownKey:
        """Return the key without a role that it has."""
        roles = (
            attrs.evolve(holding, revoked=moment) if (holding.role, holding.revoked) == (role, None) else holding
            for holding in self.roles
        )
        return attrs.evolve(self, roles=tuple(roles))

    def moved(self, moment: Moment) -> KnownKey:
        """Return the key with the moments at this height where the node of their event turned out to stand."""
        return attrs.evolve(
            self,
            added=later(self.added, moment),
            rotated=self.rotated and later(self.rotated, moment),
            revoked=self.revoked and later(self.revoked, moment),
            roles=tuple(
                attrs.evolve(
                    holding,
                    granted=later(holding.granted, moment),
                    revoked=holding.revoked and later(holding.revoked, moment),
                )
                for holding in self.roles
            ),
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
            "roles": [holding.body() for holding in self.roles],
        }
