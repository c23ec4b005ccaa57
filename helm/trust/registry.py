"""The trust registry: which key counts, for what and from which moment on, folded from signed events.

The rules, each held where its number stands below:

1. an event follows the last one: next height, the last one's hash, this log, a later node
2. it is signed by a trust-admin key that counted before it
3. a key's name is its own key's, and it has one purpose for ever
4. what was once known, rotated or revoked is never added again
5. a rotated key still answers for what it signed before, a revoked one too; neither for anything after
6. as many trust-admin keys stay as must sign: nobody could say anything afterwards, not even that one was stolen
7. where several keep the log, as many of them as its first event says have signed, each of them once; all of them
   signed the first one, and how many must sign is never changed
8. a role is granted to a key that counts and has it not, and revoked from one that has it; it ends with its key
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

import attrs

from helm.contracts.errors import Broken, Invalid
from helm.contracts.form import JSONValue
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey, SignatureInvalid
from helm.trust.event import (
    FIRST_PLACE,
    EventKind,
    JointEvent,
    Keepers,
    Place,
    TrustEvent,
    check_over,
    check_signature,
    event_hash,
    log_id_of,
)
from helm.trust.known_key import KnownKey, Moment

PlacedEvent = tuple[TrustEvent, int]
"""An event and the lamport of its node."""

RESTORE = "the history of the keys was changed: restore the journal from a backup"


@attrs.define
class Registry:
    """The keys of one log at a height. All of it follows from the log's events and the pinned first one."""

    log_id: str
    place: Place
    """The place the next event must take."""
    lamport: int
    """The ProofGraph's clock at the latest event."""
    keys: dict[str, KnownKey] = attrs.field(repr=False)
    events: list[PlacedEvent] = attrs.field(repr=False)
    """Every event that was folded, with its node's lamport."""
    threshold: int
    """How many trust-admin keys must sign an event."""
    settled: int
    """The height up to which these lamports are the nodes' own."""

    @classmethod
    def begin(cls, first: TrustEvent, pinned_log_id: str, at_lamport: int = 1) -> Registry:
        """Return the registry after the first event, whose hash must be the pinned one. Raises Invalid."""
        if log_id_of(first) != pinned_log_id:
            what = f"the log does not begin with the pinned genesis {pinned_log_id}"
            raise Invalid(what, first.where, "this is another log's history, or the pin is another log's")
        keepers = first.keepers if isinstance(first, JointEvent) else None
        check_place(first, FIRST_PLACE if keepers is None else attrs.evolve(FIRST_PLACE, prev_event_hash=keepers.hash))
        if first.kind != EventKind.KEY_ADDED or first.purpose != KeyPurpose.TRUST_ADMIN:
            raise Invalid("a log begins with the adding of a trust-admin key", first.where)
        if first.signed_by != first.key_id:
            raise Invalid("the first key signs for itself", first.where)
        admins = first_admins(first, keepers)
        moment = Moment(height=1, lamport=at_lamport)
        known = {key.key_id: KnownKey(public_key=key, purpose=KeyPurpose.TRUST_ADMIN, added=moment) for key in admins}
        return cls(
            log_id=pinned_log_id,
            place=Place(height=2, prev_event_hash=event_hash(first), log_id=pinned_log_id),
            lamport=at_lamport,
            keys=known,
            events=[(first, at_lamport)],
            threshold=1 if keepers is None else keepers.threshold,
            settled=1,
        )

    @property
    def height(self) -> int:
        """How many events have been folded."""
        return self.place.height - 1

    def apply(self, event: TrustEvent, at_lamport: int) -> None:
        """Fold the next event, of the node at `at_lamport`. Raises Invalid, and then nothing has changed."""
        check_place(event, self.place)  # 1
        if at_lamport <= self.lamport:
            what = f"its node's lamport {at_lamport} is not after {self.lamport}"
            raise Invalid(what, event.where, RESTORE)
        check_signature(event, self._admin(event, event.signed_by))  # 2
        self._check_cosigned(event)  # 7
        changed = self._changed(event, Moment(height=event.height, lamport=at_lamport))
        self.keys.update(changed)
        self.lamport = at_lamport
        self.events.append((event, at_lamport))
        if self.settled == event.height - 1:
            self.settled = event.height
        self.place = Place(height=event.height + 1, prev_event_hash=event_hash(event), log_id=self.log_id)

    def apply_ahead(self, event: TrustEvent, after_lamport: int) -> None:
        """Fold the next event before it has a node: it counts at once, and `settle` says from where. Raises Invalid."""
        settled = self.settled
        self.apply(event, max(after_lamport, self.lamport) + 1)
        self.settled = settled

    def settle(self, height: int, lamport: int) -> None:
        """Give the event at `height` the lamport of the node that it got; nodes come in the order of heights."""
        event, ahead = self.events[height - 1]
        if height != self.settled + 1 or lamport < ahead:
            raise Broken(f"{event.where} got lamport {lamport}, which does not follow")
        moment = Moment(height=height, lamport=lamport)
        for key_id in {event.key_id, event.replaces} & self.keys.keys():
            self.keys[key_id] = self.keys[key_id].moved(moment)
        self.events[height - 1] = (event, lamport)
        self.settled = height
        self.lamport = max(self.lamport, lamport)

    def at(self, lamport: int) -> Registry:
        """Return the registry as it stood at `lamport`, folded again from genesis. Raises Invalid before it began."""
        settled = self.events[: self.settled]
        return fold(((event, placed) for event, placed in settled if placed <= lamport), self.log_id)

    def require(self, key_id: str, purpose: KeyPurpose, lamport: int, role: str = "") -> PublicKey:
        """Return the key that may have signed for `purpose`, in `role`, in the node at `lamport`. Raises Invalid."""
        known = self.keys.get(key_id)
        if known is None:
            hint = "a signature by it proves nothing"
            raise Invalid("no trust event ever added this key", f"key {key_id}", hint)
        if known.purpose is not purpose:
            raise Invalid(f"the key is for {known.purpose}, not for {purpose}", f"key {key_id}")
        ended = known.ended(lamport)
        if ended:
            raise Invalid(f"the key {ended} and does not count at lamport {lamport}", f"key {key_id}")
        if role and not known.has(role, lamport):
            hint = "the administrators give it: helm trust grant"
            raise Invalid(f"the key has not the role {role} at lamport {lamport}", f"key {key_id}", hint)
        return known.public_key

    def snapshot(self) -> dict[str, JSONValue]:
        """Return every key ever known, by name, as a JSON object. It proves nothing: the events do."""
        joint = isinstance(self.events[0][0], JointEvent)
        return {
            "log_id": self.log_id,
            "height": self.height,
            "lamport": self.lamport,
            "last_event_hash": self.place.prev_event_hash,
            "keys": [self.keys[key_id].body() for key_id in sorted(self.keys)],
            **({"threshold": self.threshold} if joint else {}),
        }

    def _admin(self, event: TrustEvent, key_id: str) -> PublicKey:
        known = self.keys.get(key_id)
        if known is None or known.purpose is not KeyPurpose.TRUST_ADMIN or not known.is_active:
            hint = "only an active trust-admin key changes which keys count"
            raise Invalid(f"{key_id} may not sign trust events", event.where, hint)
        return known.public_key

    def _check_cosigned(self, event: TrustEvent) -> None:
        """Raise Invalid unless enough administrators signed, and nobody who is none stands among them."""
        joint = event if isinstance(event, JointEvent) else None
        if joint is not None and joint.keepers is not None:
            hint = "who keeps a log, and how many of them must sign, stands in its first event for ever"
            raise Invalid("it would change how many must sign", event.where, hint)
        cosignatures = {} if joint is None else joint.cosignatures
        for key_id, signature in cosignatures.items():
            check_over(event, self._admin(event, key_id), signature)
        if len(cosignatures) + 1 < self.threshold:
            what = f"{len(cosignatures) + 1} of {self.threshold} administrators have signed it"
            raise Invalid(what, event.where, "helm trust sign, by another administrator, over the same event")

    def _changed(self, event: TrustEvent, moment: Moment) -> dict[str, KnownKey]:
        key = read_key(event)  # 3
        match kind := EventKind(event.kind):
            case EventKind.KEY_ADDED:
                return self._added(event, key, moment)
            case EventKind.KEY_ROTATED:
                return self._rotated(event, key, moment)
            case EventKind.KEY_REVOKED:
                return self._revoked(event, moment)
            case EventKind.ROLE_GRANTED | EventKind.ROLE_REVOKED:
                return self._in_role(event, moment)
            case _:
                assert_never(kind)

    def _added(self, event: TrustEvent, key: PublicKey, moment: Moment) -> dict[str, KnownKey]:
        if event.key_id in self.keys:  # 4
            raise Invalid("the key is known already, and is never added again", event.where, "make a new key")
        return {event.key_id: KnownKey(public_key=key, purpose=KeyPurpose(event.purpose), added=moment)}

    def _rotated(self, event: TrustEvent, key: PublicKey, moment: Moment) -> dict[str, KnownKey]:
        old = self._of_same_purpose(event, event.replaces)
        if not old.is_active:
            raise Invalid(f"{event.replaces} does not count any more: nothing can replace it", event.where)
        replaced = attrs.evolve(old, rotated=moment, replaced_by=event.key_id)
        return {event.replaces: replaced, **self._added(event, key, moment)}

    def _revoked(self, event: TrustEvent, moment: Moment) -> dict[str, KnownKey]:
        known = self._of_same_purpose(event, event.key_id)
        if known.revoked is not None:
            raise Invalid("the key is revoked already", event.where)
        if known.is_active and event.key_id in (admins := self._admins()) and len(admins) <= self.threshold:  # 6
            hint = "rotate it, then revoke the old one"
            raise Invalid("one of the last trust-admin keys cannot be revoked", event.where, hint)
        return {event.key_id: attrs.evolve(known, revoked=moment)}

    def _in_role(self, event: TrustEvent, moment: Moment) -> dict[str, KnownKey]:  # 8
        known, grants = self._of_same_purpose(event, event.key_id), event.kind == EventKind.ROLE_GRANTED
        if grants and not known.is_active:
            raise Invalid(f"{event.key_id} does not count any more: it gets no role", event.where)
        if (event.role in known.current_roles) is grants:
            what = f"{event.key_id} {'has already' if grants else 'has not'} the role {event.role}"
            raise Invalid(what, event.where, "`helm trust keys --json` says who has which")
        changed = known.given(event.role, moment) if grants else known.taken(event.role, moment)
        return {event.key_id: changed}

    def _of_same_purpose(self, event: TrustEvent, key_id: str) -> KnownKey:
        known = self.keys.get(key_id)
        if known is None:
            raise Invalid(f"{key_id} was never added", event.where)
        if known.purpose != event.purpose:  # 3
            raise Invalid(f"{key_id} is for {known.purpose}, not for {event.purpose}", event.where)
        return known

    def _admins(self) -> set[str]:
        admins = (known for known in self.keys.values() if known.purpose is KeyPurpose.TRUST_ADMIN)
        return {known.public_key.key_id for known in admins if known.is_active}


def fold(events: Iterable[tuple[TrustEvent, int]], pinned_log_id: str) -> Registry:
    """Return the registry of all events of a log, each with its node's lamport. Raises Invalid."""
    history = iter(events)
    first = next(history, None)
    if first is None:
        raise Invalid("no trust event at all", f"log {pinned_log_id}", RESTORE)
    registry = Registry.begin(first[0], pinned_log_id, first[1])
    for event, at_lamport in history:
        registry.apply(event, at_lamport)
    return registry


def first_admins(first: TrustEvent, keepers: Keepers | None) -> list[PublicKey]:
    """Return the administrators that a log begins with, each of whom signed its first event. Raises Invalid."""
    key = read_key(first)
    check_signature(first, key)
    if not isinstance(first, JointEvent):
        return [key]
    if keepers is None:
        raise Invalid("it is cosigned, and does not say who keeps the log", first.where)
    try:
        admins = {found.key_id: found for found in map(PublicKey.from_hex, keepers.admins)}
    except SignatureInvalid as problem:
        raise Invalid(str(problem), first.where) from problem
    if {first.key_id, *first.cosignatures} != admins.keys():
        what = f"not all of the {len(admins)} administrators have signed it, and nobody else"
        raise Invalid(what, first.where, "helm trust sign, by each of them: who keeps a log agreed to")
    for key_id, signature in first.cosignatures.items():
        check_over(first, admins[key_id], signature)
    return list(admins.values())


def check_place(event: TrustEvent, place: Place) -> None:
    """Raise Invalid unless `event` stands at `place`: none left out, doubled, moved or from another log."""
    if event.height != place.height:
        raise Invalid(f"height {place.height} comes next, not {event.height}", event.where, RESTORE)
    if event.prev_event_hash != place.prev_event_hash:
        raise Invalid("it does not follow the event before it", event.where, RESTORE)
    if event.log_id != place.log_id:
        raise Invalid(f"it belongs to log {event.log_id!r}, not to {place.log_id!r}", event.where)


def read_key(event: TrustEvent) -> PublicKey:
    """Return the event's checked public key. Raises Invalid where it is unsound or under another's name."""
    try:
        key = PublicKey.from_hex(event.public_key)
    except SignatureInvalid as problem:
        raise Invalid(str(problem), event.where) from problem
    if key.key_id != event.key_id:
        raise Invalid(f"the key is {key.key_id}, not {event.key_id}", event.where)
    return key
