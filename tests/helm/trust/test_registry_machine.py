"""The registry under any sequence of honest and hostile events, beside a model that knows only who may do what."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from helm.contracts.errors import Invalid
from helm.crypto.canonical import parse
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SigningKey
from helm.trust.event import (
    FIRST_PLACE,
    JointEvent,
    Keepers,
    KeyChange,
    TrustEvent,
    begin_jointly,
    cosign,
    from_payload,
    log_id_of,
    sign_event,
    to_payload,
)
from helm.trust.known_key import KeyStatus
from helm.trust.registry import Registry, fold
from tests.helm.trust.history import NOW_MS, adding, granting, key_of, revoking, rotating, withdrawing

ADMINS = [key_of(number, KeyPurpose.TRUST_ADMIN) for number in range(1, 4)]
OTHERS = [key_of(number, KeyPurpose.EXECUTION) for number in range(10, 14)]
SPARE = [key_of(number, KeyPurpose.TRUST_ADMIN) for number in range(20, 23)]
ROGUE = key_of(66, KeyPurpose.TRUST_ADMIN)
KEYS = [*ADMINS, *OTHERS, *SPARE]

numbers = st.integers(0, len(KEYS) - 1)
roles = st.sampled_from(["payments", "releases"])
signings = st.lists(st.sampled_from([*ADMINS, *SPARE, ROGUE]), min_size=1, max_size=4, unique_by=lambda key: key.key_id)


def joined(event: TrustEvent, signers: list[SigningKey]) -> TrustEvent:
    """The event with the signatures of others beside it."""
    for signer in signers:
        event = cosign(event, signer)
    return event


class RegistryMachine(RuleBasedStateMachine):
    """What the registry must be: which keys count, who may say so, and that its past folds to it."""

    @initialize(threshold=st.integers(0, 3))
    def begin(self, threshold: int) -> None:
        """Begin a log that one keeps (0), or that three keep, of whom `threshold` must sign."""
        admins = ADMINS if threshold else ADMINS[:1]
        first: TrustEvent
        if threshold:
            keepers = Keepers(admins=tuple(sorted(admin.public_key for admin in admins)), threshold=threshold)
            place = attrs.evolve(FIRST_PLACE, prev_event_hash=keepers.hash)
            first = begin_jointly(sign_event(adding(admins[0]), place, NOW_MS, admins[0]), keepers)
            first = joined(first, admins[1:])
        else:
            first = sign_event(adding(admins[0]), FIRST_PLACE, NOW_MS, admins[0])
        self.log_id, self.threshold = log_id_of(first), max(1, threshold)
        self.registry = Registry.begin(first, self.log_id)
        self.status = {admin.key_id: KeyStatus.ACTIVE for admin in admins}
        self.roles: dict[str, set[str]] = {}
        self.lamport = 1

    def admins(self) -> set[str]:
        """Who may sign now."""
        return {key.key_id for key in [*ADMINS, *SPARE] if self.status.get(key.key_id) is KeyStatus.ACTIVE}

    def hand_in(self, change: KeyChange, signers: list[SigningKey], may_be: bool) -> bool:
        """Apply the event, straight or ahead of its node; it is taken exactly where it may be and enough signed."""
        event = joined(sign_event(change, self.registry.place, NOW_MS, signers[0]), signers[1:])
        names = {signer.key_id for signer in signers}
        allowed = may_be and names <= self.admins() and len(names) >= self.threshold
        before = self.registry.snapshot()
        read = from_payload(parse(to_payload(event)))
        assert read == event
        try:
            self.registry.apply_ahead(read, self.lamport)
        except Invalid:
            assert not allowed
            assert self.registry.snapshot() == before
            return False
        assert allowed
        self.lamport += 3
        self.registry.settle(event.height, self.lamport)
        return True

    @rule(number=numbers, signers=signings)
    def add(self, number: int, signers: list[SigningKey]) -> None:
        """Add a key: only one that was never known."""
        key = KEYS[number]
        if self.hand_in(adding(key), signers, key.key_id not in self.status):
            self.status[key.key_id] = KeyStatus.ACTIVE

    @rule(number=numbers, signers=signings)
    def revoke(self, number: int, signers: list[SigningKey]) -> None:
        """Revoke a key: once, and never one of the last administrators."""
        key, status = KEYS[number], self.status.get(KEYS[number].key_id)
        last = key.key_id in self.admins() and len(self.admins()) <= self.threshold
        if self.hand_in(revoking(key), signers, status not in (None, KeyStatus.REVOKED) and not last):
            self.status[key.key_id] = KeyStatus.REVOKED

    @rule(old=numbers, new=numbers, signers=signings)
    def rotate(self, old: int, new: int, signers: list[SigningKey]) -> None:
        """Rotate a key: an active one, by an unknown one of the same purpose."""
        gone, comes = KEYS[old], KEYS[new]
        may_be = self.status.get(gone.key_id) is KeyStatus.ACTIVE and comes.key_id not in self.status
        if self.hand_in(rotating(gone, comes), signers, may_be and gone.purpose is comes.purpose):
            self.status |= {gone.key_id: KeyStatus.ROTATED, comes.key_id: KeyStatus.ACTIVE}

    @rule(number=numbers, role=roles, signers=signings)
    def grant(self, number: int, role: str, signers: list[SigningKey]) -> None:
        """Give a role: to a key that counts, and has it not."""
        key_id = KEYS[number].key_id
        held = self.roles.setdefault(key_id, set())
        may_be = self.status.get(key_id) is KeyStatus.ACTIVE and role not in held
        if self.hand_in(granting(KEYS[number], role), signers, may_be):
            held.add(role)

    @rule(number=numbers, role=roles, signers=signings)
    def withdraw(self, number: int, role: str, signers: list[SigningKey]) -> None:
        """Take a role from a key that has it, whatever became of the key."""
        held = self.roles.setdefault(KEYS[number].key_id, set())
        if self.hand_in(withdrawing(KEYS[number], role), signers, role in held):
            held.remove(role)

    @rule(change=st.sampled_from(["log_id", "height", "prev_event_hash"]))
    def misplace(self, change: str) -> None:
        """An honest event for another place, or another log, is never taken."""
        signers = [key for key in [*ADMINS, *SPARE] if key.key_id in self.admins()]
        wrong: dict[str, Any] = {
            "log_id": "sha256:" + "0" * 64,
            "height": self.registry.height + 2,
            "prev_event_hash": "GENESIS",
        }
        place = attrs.evolve(self.registry.place, **{change: wrong[change]})
        event = joined(sign_event(adding(ROGUE), place, NOW_MS, signers[0]), signers[1:])
        with pytest.raises(Invalid):
            self.registry.apply(event, self.lamport + 1)

    @rule()
    def lower_the_threshold(self) -> None:
        """No event says anew how many must sign, whoever signs it."""
        signers = [key for key in [*ADMINS, *SPARE] if key.key_id in self.admins()]
        event = joined(sign_event(adding(ROGUE), self.registry.place, NOW_MS, signers[0]), signers[1:])
        keepers = Keepers(admins=tuple(sorted(key.public_key for key in ADMINS)), threshold=1)
        again = JointEvent(**{**attrs.asdict(event, recurse=False), "keepers": keepers})
        with pytest.raises(Invalid, match="how many must sign"):
            self.registry.apply(again, self.lamport + 1)

    @precondition(lambda self: self.registry.height > 2)
    @rule(data=st.data())
    def leave_one_out(self, data: st.DataObject) -> None:
        """A past with an event taken out is nobody's past."""
        events = list(self.registry.events)
        del events[data.draw(st.integers(0, len(events) - 2))]
        with pytest.raises(Invalid):
            fold(events, self.log_id)

    @invariant()
    def the_keys_are_the_models(self) -> None:
        """Which keys count is what the model says, and as many administrators stay as must sign."""
        assert {key_id: known.status for key_id, known in self.registry.keys.items()} == self.status
        assert {key_id: set(known.current_roles) for key_id, known in self.registry.keys.items()} == {
            key_id: self.roles.get(key_id, set()) for key_id in self.status
        }
        assert len(self.admins()) >= self.threshold == self.registry.threshold

    @invariant()
    def the_past_folds_to_it(self) -> None:
        """The fold of its events, at any height, is what it was then."""
        assert fold(self.registry.events, self.log_id).snapshot() == self.registry.snapshot()
        assert self.registry.at(self.lamport).snapshot() == self.registry.snapshot()


TestRegistryMachine = RegistryMachine.TestCase
TestRegistryMachine.settings = settings(max_examples=50, stateful_step_count=15, deadline=None)
