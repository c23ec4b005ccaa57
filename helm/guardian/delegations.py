"""The DelegationStore: every delegation of a log, what ended it, and which calls were made under it."""

from __future__ import annotations

from typing import Final

import attrs

from helm.contracts.call import ToolCall
from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.guardian.delegation import DelegationGrant, DelegationRevocation, Standing, delegation_id

WINDOW: Final = 1024
"""How far behind the highest sequence a call may come in: calls overtake each other, and none is let through twice."""

MAX_PER_KEY: Final = 10_000
"""Delegations that one key may give in the life of a log: none is ever forgotten, so that none is given twice (T4)."""


@attrs.define
class Sequences:
    """Which sequences were used: a sliding window, as IPsec keeps one (RFC 4303 section 3.4.3)."""

    highest: int = 0
    _seen: int = 0
    """Bit n stands for the sequence `highest - n`."""

    def used(self, sequence: int) -> bool:
        """Say whether a call with this sequence was let through, or may have been: it is too far behind to know."""
        behind = self.highest - sequence
        return sequence < 1 or behind >= WINDOW or (behind >= 0 and self._seen >> behind & 1 == 1)

    def note(self, sequence: int) -> None:
        """Remember that a call with this sequence was let through."""
        ahead = sequence - self.highest
        if ahead > 0:
            self._seen = (self._seen << ahead | 1) & (1 << WINDOW) - 1 if ahead < WINDOW else 1
            self.highest = sequence
        else:
            self._seen |= 1 << -ahead


@attrs.define
class Bound:
    """One delegation, and what has become of it."""

    grant: DelegationGrant
    ended: str = ""
    sequences: Sequences = attrs.field(factory=Sequences)


@attrs.define
class Delegations:
    """Every delegation by its id. A fold of signed grants, revocations, and the decisions made under them."""

    bound: dict[str, Bound] = attrs.field(factory=dict, repr=False)
    _nonces: dict[str, set[str]] = attrs.field(factory=dict, repr=False)
    """By key: what it gave used each of them once."""

    def bind(self, grant: DelegationGrant) -> str:
        """Take a checked grant into force, and return its id. Raises Invalid for one whose nonce was used before."""
        nonces = self._nonces.setdefault(grant.key_id, set())
        if grant.nonce in nonces:
            raise Invalid("its nonce was used before: no delegation is given twice", "nonce", "sign a new one")
        if len(nonces) >= MAX_PER_KEY:
            raise Invalid(f"the key has given {MAX_PER_KEY} delegations", "key_id", "rotate the key")
        nonces.add(grant.nonce)
        name = delegation_id(grant)
        self.bound[name] = Bound(grant)
        return name

    def end(self, name: str, why: str) -> None:
        """End a delegation for ever. Raises Invalid where there is none, or where it has ended."""
        found = self.bound.get(name)
        if found is None:
            raise Invalid("there is no such delegation", name, "`helm delegation list` shows them")
        if found.ended:
            raise Invalid(f"the delegation has ended: {found.ended}", name)
        found.ended = why

    def revoker(self, revocation: DelegationRevocation) -> KeyPurpose:
        """Return what the key must be for that revokes: whoever gave it takes it back, or the emergency key does."""
        found = self.bound.get(revocation.delegation_id)
        own = found is not None and found.grant.key_id == revocation.key_id
        return KeyPurpose.DELEGATION if own else KeyPurpose.EMERGENCY

    def end_all_of(self, key_id: str) -> None:
        """End everything that a key gave which counts no more: whoever stole it gave it (T6)."""
        for found in self.bound.values():
            if found.grant.key_id == key_id and not found.ended:
                found.ended = "the key that gave it was revoked"

    def standing(self, call: ToolCall) -> Standing | None:
        """Return what is known of the delegation that a call names, None where it is none of the call's tenant."""
        found = self.bound.get(call.delegation_id)
        if found is None or found.grant.tenant != call.tenant:
            return None
        used = found.sequences.used(call.delegation_sequence)
        return Standing(ended=found.ended, grant=found.grant, used=used)

    def note(self, name: str, sequence: int) -> None:
        """Remember a call that gate 5 let through. Raises KeyError where there is no such delegation."""
        self.bound[name].sequences.note(sequence)
