"""A trust event: one signed change of the set of keys that count (seed: T8, Trust Registry Manipulation).

Every event signs over the hash of the event before it, so that none can be left out, put in, or moved. The
first event is signed by the key it adds; its hash is the name of the log, and every verifier pins that name.

Where several administrators keep a log, one of them signs an event, and others put their signatures over the same
statement beside it. Who they are and how many must sign is hashed into the first event, and so into the log's name.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

import attrs

from helm.contracts.errors import Broken, Invalid
from helm.contracts.form import Form, JSONValue
from helm.crypto import domains
from helm.crypto.canonical import record_bytes
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey, SignatureInvalid, Signer
from helm.crypto.hashing import hash_in
from helm.crypto.numbers import MAX_SAFE

PAYLOAD_TYPE = "TRUST_EVENT"

GENESIS = "GENESIS"
"""The prev_event_hash of the first event."""

MAX_TEXT = 500
"""Longest text in an event: a reason is a sentence for the auditor, not a place to hide a document (T4)."""


class EventKind(StrEnum):
    """What an event does to a key."""

    KEY_ADDED = "KEY_ADDED"
    KEY_REVOKED = "KEY_REVOKED"
    KEY_ROTATED = "KEY_ROTATED"
    ROLE_GRANTED = "ROLE_GRANTED"
    ROLE_REVOKED = "ROLE_REVOKED"


OF_ROLES: Final = frozenset({EventKind.ROLE_GRANTED, EventKind.ROLE_REVOKED})

LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
MAX_ROLE: Final = 64


def is_role(name: str) -> bool:
    """Tell whether this can be a role's name: a letter a-z, then a-z 0-9 . _ - up to 64 characters.

    What a role lets a key do is the policy's to say; who has it is not.
    """
    return name[:1] in tuple(LETTERS) and len(name) <= MAX_ROLE and not name.strip(LETTERS + "0123456789._-")


@attrs.frozen(kw_only=True, slots=False)
class KeyChange:
    """What is to become of a key. `replaces` is the old key's id for KEY_ROTATED, `role` a role's name; else ""."""

    key_id: str
    kind: str
    public_key: str
    purpose: str
    reason: str
    replaces: str = ""
    role: str = ""


@attrs.frozen(kw_only=True, slots=False)
class Place:
    """The one place the next event of a log can take. The registry's own clock is its height: 1, 2, 3, ..."""

    height: int
    log_id: str
    prev_event_hash: str


FIRST_PLACE = Place(height=1, prev_event_hash=GENESIS, log_id="")
"""A log has no name before its first event."""


def is_text(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    """Refuse what is not a short printable text: no event redraws the terminal of whoever reads it."""
    if type(value) is not str or len(value) > MAX_TEXT or not value.isprintable():
        raise ValueError(f"{attribute.name} is not a printable text of at most {MAX_TEXT} characters")


def is_count(_: object, attribute: attrs.Attribute[int], value: int) -> None:
    """Refuse what is not a whole number that every reader reads alike."""
    if type(value) is not int or not 0 <= value <= MAX_SAFE:
        raise ValueError(f"{attribute.name} is not a whole number from 0 to 2^53-1")


@attrs.frozen(kw_only=True, slots=False)
class TrustEvent:
    """Everything an event says. The signature, by the key that `signed_by` names, covers all the rest."""

    height: int = attrs.field(validator=is_count)
    issued_at_ms: int = attrs.field(validator=is_count)
    key_id: str = attrs.field(validator=is_text)
    kind: str = attrs.field(validator=is_text)
    log_id: str = attrs.field(validator=is_text)
    prev_event_hash: str = attrs.field(validator=is_text)
    public_key: str = attrs.field(validator=is_text)
    purpose: str = attrs.field(validator=is_text)
    reason: str = attrs.field(validator=is_text)
    replaces: str = attrs.field(validator=is_text)
    role: str = attrs.field(validator=is_text)
    signature: str = attrs.field(validator=is_text)
    signed_by: str = attrs.field(validator=is_text)

    def __attrs_post_init__(self) -> None:
        self.check_members()

    def check_members(self) -> None:
        """Raise ValueError unless the members can be those of one event."""
        EventKind(self.kind)
        KeyPurpose(self.purpose)
        if not self.reason:
            raise ValueError("an event gives its reason")
        if (self.kind == EventKind.KEY_ROTATED) != (self.replaces != ""):
            raise ValueError("exactly a rotation names the key that it replaces")
        odd = not is_role(self.role) if self.kind in OF_ROLES else self.role != ""
        if odd:
            raise ValueError("exactly what grants or revokes a role names one: a-z, then a-z 0-9 . _ - up to 64")

    @property
    def where(self) -> str:
        """The event as an error message names it."""
        return f"trust event {self.height}"


MAX_ADMINS = 16
"""Administrators of one log: each event is checked under a signature of most of them (T4)."""


@attrs.frozen(kw_only=True)
class Keepers:
    """Who keeps a log from its first event on, and how many of them must sign each later one. Both for ever."""

    admins: tuple[str, ...]
    """Their public keys, in order."""
    threshold: int

    def __attrs_post_init__(self) -> None:
        if not all(type(admin) is str for admin in self.admins) or list(self.admins) != sorted(set(self.admins)):
            raise ValueError("the administrators are not different public keys, in order")
        if not 2 <= len(self.admins) <= MAX_ADMINS:
            raise ValueError(f"2 to {MAX_ADMINS} administrators keep a log together")
        if type(self.threshold) is not int or not 1 <= self.threshold <= len(self.admins):
            raise ValueError(f"of {len(self.admins)} administrators, 1 to {len(self.admins)} must sign")

    def body(self) -> dict[str, JSONValue]:
        """Return the keepers as a JSON object."""
        return {"admins": list(self.admins), "threshold": self.threshold}

    @property
    def hash(self) -> str:
        """What the first event names as the one before it."""
        return hash_in(domains.KEEPERS, record_bytes(self.body()))


@attrs.frozen(kw_only=True, slots=False)
class JointEvent(TrustEvent):
    """An event with the signatures of other administrators beside it, by key id: none can stand there twice."""

    keepers: Keepers | None = None
    """Only with the first event of a log that several keep."""
    cosignatures: Mapping[str, str] = attrs.field(factory=dict)

    def check_members(self) -> None:
        """Raise ValueError unless the members can be those of one event."""
        super().check_members()
        if len(self.cosignatures) > MAX_ADMINS or self.signed_by in self.cosignatures:
            raise ValueError("one administrator signs an event once")
        if not all(type(key) is type(value) is str for key, value in self.cosignatures.items()):
            raise ValueError("a cosignature is a text under the name of a key")


BESIDE = frozenset({"keepers", "cosignatures"})
"""What stands beside the statement of an event and is not under its signature."""

TRUST_EVENT = Form(TrustEvent)
KEY_CHANGE = Form(KeyChange)
PLACE = Form(Place)


def sign_event(change: KeyChange, place: Place, issued_at_ms: int, signer: Signer) -> TrustEvent:
    """Return the event that makes `change` at `place`, signed by a trust-admin key. Raises Invalid."""
    body = KEY_CHANGE.body(change) | PLACE.body(place)
    body |= {"issued_at_ms": issued_at_ms, "signed_by": signer.key_id}
    from_body(body | {"signature": ""})  # nothing malformed is ever signed
    return from_body(body | {"signature": signer.sign(domains.TRUST_EVENT, record_bytes(body))})


def begin_jointly(first: TrustEvent, keepers: Keepers) -> JointEvent:
    """Return the first event of a log that several keep, as far as its own key has signed it."""
    return JointEvent(**own_body(first), keepers=keepers)


def place_after(event: TrustEvent, log_id: str) -> Place:
    """Return the place behind an event."""
    return Place(height=event.height + 1, log_id=log_id, prev_event_hash=event_hash(event))


def cosign(event: TrustEvent, signer: Signer) -> JointEvent:
    """Return the event with the signature of one more administrator beside it. Raises Invalid for one who signed."""
    body = to_body(event)
    given = dict(body.get("cosignatures", {}))
    if signer.key_id in (event.signed_by, *given):
        raise Invalid(f"{signer.key_id} has signed it already", event.where, "another administrator must sign")
    given[signer.key_id] = signer.sign(domains.TRUST_EVENT, statement(event))
    joint = from_body(body | {"cosignatures": given})
    if not isinstance(joint, JointEvent):
        raise Broken("a cosigned event is a joint one")
    return joint


def statement(event: TrustEvent) -> bytes:
    """Return what every signature of `event` is over: all of it but the signatures."""
    body = own_body(event)
    del body["signature"]
    return record_bytes(body)


def check_signature(event: TrustEvent, key: PublicKey) -> None:
    """Raise Invalid unless `key` signed `event`."""
    check_over(event, key, event.signature)


def check_over(event: TrustEvent, key: PublicKey, signature: str) -> None:
    """Raise Invalid unless `signature` is that of `key` over the event's statement."""
    try:
        key.verify(domains.TRUST_EVENT, statement(event), signature)
    except SignatureInvalid as problem:
        hint = "the event was edited, or someone else signed it"
        raise Invalid(str(problem), event.where, hint) from problem


def event_hash(event: TrustEvent) -> str:
    """Return the hash that the next event signs over: of the event with its first signature."""
    return hash_in(domains.TRUST_EVENT_HASH, record_bytes(own_body(event)))


def log_id_of(first: TrustEvent) -> str:
    """Return the name of the log that begins with `first`."""
    return hash_in(domains.GENESIS, record_bytes(own_body(first)))


def own_body(event: TrustEvent) -> dict[str, JSONValue]:
    """Return the members that every event has."""
    body = TRUST_EVENT.body(event)
    return {name: value for name, value in body.items() if name not in BESIDE}


def beside(event: TrustEvent) -> dict[str, JSONValue]:
    """Return what stands beside an event: nothing in a log that one administrator keeps."""
    if not isinstance(event, JointEvent):
        return {}
    keepers = {} if event.keepers is None else {"keepers": event.keepers.body()}
    return keepers | {"cosignatures": dict(event.cosignatures)}


def to_body(event: TrustEvent) -> dict[str, JSONValue]:
    """Return the event as a JSON object, whatever stands beside it included."""
    return own_body(event) | beside(event)


def from_body(body: JSONValue, where: str = "trust event") -> TrustEvent:
    """Return the event of a JSON object. Raises Invalid for a member too many, too few or mistyped."""
    extra = BESIDE.intersection(body) if isinstance(body, Mapping) else frozenset()
    check_members(body, (*TRUST_EVENT.names, *extra), where)
    try:
        if not extra:
            return TrustEvent(**body)
        return JointEvent(**{**body, **read_beside(body, where)})
    except ValueError as problem:
        raise Invalid(str(problem), where) from problem


def read_beside(body: JSONValue, where: str) -> dict[str, Any]:
    """Return keepers and cosignatures of a body that has them. Raises Invalid and ValueError."""
    cosignatures, keepers = body.get("cosignatures"), body.get("keepers")
    if not isinstance(cosignatures, Mapping):
        raise Invalid("its cosignatures are no object", where)
    if keepers is None and "keepers" not in body:
        return {"cosignatures": cosignatures}
    check_members(keepers, ("admins", "threshold"), where)
    if type(keepers["admins"]) is not list:
        raise Invalid("its administrators are no list", where)
    found = Keepers(admins=tuple(keepers["admins"]), threshold=keepers["threshold"])
    return {"keepers": found, "cosignatures": cosignatures}


def to_payload(event: TrustEvent) -> bytes:
    """Return the canonical payload of the TRUST_EVENT node that carries `event`."""
    return record_bytes(beside(event) | {"event": own_body(event), "type": PAYLOAD_TYPE})


def from_payload(payload: JSONValue, where: str = "TRUST_EVENT node") -> TrustEvent:
    """Return the event in the payload of a TRUST_EVENT node. Raises Invalid."""
    extra = BESIDE.intersection(payload) if isinstance(payload, Mapping) else frozenset()
    check_members(payload, ("event", "type", *extra), where)
    if payload["type"] != PAYLOAD_TYPE:
        raise Invalid(f"its payload is of type {payload['type']!r}", where)
    check_members(payload["event"], TRUST_EVENT.names, where)
    return from_body({**payload["event"], **{name: payload[name] for name in extra}}, where)


def check_members(body: JSONValue, names: tuple[str, ...], where: str) -> None:
    """Raise Invalid unless `body` is an object with exactly these members."""
    if not isinstance(body, Mapping):
        raise Invalid(f"expected an object, not {type(body).__name__}", where)
    wrong = set(names) ^ set(body)
    if wrong:
        raise Invalid(f"missing or unknown members: {', '.join(sorted(map(str, wrong)))}", where)
