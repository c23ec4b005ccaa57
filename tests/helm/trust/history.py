"""A log's trust events as its administrators would make them, for the tests to attack."""

from __future__ import annotations

import attrs

from helm.contracts.form import JSONValue
from helm.crypto import domains
from helm.crypto.canonical import record_bytes
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SigningKey
from helm.trust.event import (
    FIRST_PLACE,
    EventKind,
    KeyChange,
    Place,
    TrustEvent,
    event_hash,
    from_body,
    log_id_of,
    sign_event,
    to_body,
)
from helm.trust.registry import Registry

NOW_MS = 1_700_000_000_000


def key_of(number: int, purpose: KeyPurpose) -> SigningKey:
    """A key that every run of the tests makes alike."""
    return SigningKey.from_seed(bytes([number]) * 32, purpose)


ADMIN = key_of(1, KeyPurpose.TRUST_ADMIN)
SECOND_ADMIN = key_of(2, KeyPurpose.TRUST_ADMIN)
EXECUTION = key_of(3, KeyPurpose.EXECUTION)
NEXT_EXECUTION = key_of(4, KeyPurpose.EXECUTION)
POLICY = key_of(5, KeyPurpose.POLICY)
ROGUE = key_of(66, KeyPurpose.TRUST_ADMIN)


def adding(key: SigningKey) -> KeyChange:
    return change(EventKind.KEY_ADDED, key)


def revoking(key: SigningKey) -> KeyChange:
    return change(EventKind.KEY_REVOKED, key)


def rotating(old: SigningKey, new: SigningKey) -> KeyChange:
    return change(EventKind.KEY_ROTATED, new, replaces=old.key_id)


def granting(key: SigningKey, role: str) -> KeyChange:
    return change(EventKind.ROLE_GRANTED, key, role=role)


def withdrawing(key: SigningKey, role: str) -> KeyChange:
    return change(EventKind.ROLE_REVOKED, key, role=role)


def change(kind: EventKind, key: SigningKey, replaces: str = "", role: str = "") -> KeyChange:
    return KeyChange(
        kind=kind.value,
        key_id=key.key_id,
        public_key=key.public_key,
        purpose=key.purpose.value,
        reason="a test needs it",
        replaces=replaces,
        role=role,
    )


def forged(event: TrustEvent, signer: SigningKey, **edits: JSONValue) -> TrustEvent:
    """The event with some members edited, signed anew by whoever holds `signer`."""
    body = to_body(event) | {"signed_by": signer.key_id} | edits
    del body["signature"]
    return from_body(body | {"signature": signer.sign(domains.TRUST_EVENT, record_bytes(body))})


@attrs.define
class History:
    """An honest log: each event follows the last one and stands in a node ten ticks later."""

    events: list[TrustEvent] = attrs.field(factory=list)

    @classmethod
    def begun(cls, admin: SigningKey = ADMIN) -> History:
        return cls([sign_event(adding(admin), FIRST_PLACE, NOW_MS, admin)])

    def make(self, change: KeyChange, signer: SigningKey = ADMIN) -> TrustEvent:
        """Sign the next event and write it down."""
        event = sign_event(change, self.place, NOW_MS, signer)
        self.events.append(event)
        return event

    @property
    def log_id(self) -> str:
        return log_id_of(self.events[0])

    @property
    def place(self) -> Place:
        last = self.events[-1]
        return Place(height=last.height + 1, prev_event_hash=event_hash(last), log_id=self.log_id)

    def nodes(self) -> list[tuple[TrustEvent, int]]:
        return [(event, 10 * event.height) for event in self.events]

    def folded(self) -> Registry:
        registry = Registry.begin(self.events[0], self.log_id, at_lamport=10)
        for event, at_lamport in self.nodes()[1:]:
            registry.apply(event, at_lamport)
        return registry
