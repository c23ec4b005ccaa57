"""A trust event: one signed change of the set of keys that count (seed: T8, Trust Registry Manipulation).

Every event signs over the hash of the event before it, so that none can be left out, put in, or moved. The
first event is signed by the key it adds; its hash is the name of the log, and every verifier pins that name.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import attrs

from helm.contracts.errors import Invalid
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


@attrs.frozen(kw_only=True, slots=False)
class KeyChange:
    """What is to become of a key. `replaces` is the old key's id for KEY_ROTATED, else ""."""

    key_id: str
    kind: str
    public_key: str
    purpose: str
    reason: str
    replaces: str = ""


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
    signature: str = attrs.field(validator=is_text)
    signed_by: str = attrs.field(validator=is_text)

    def __attrs_post_init__(self) -> None:
        EventKind(self.kind)
        KeyPurpose(self.purpose)
        if not self.reason:
            raise ValueError("an event gives its reason")
        if (self.kind == EventKind.KEY_ROTATED) != (self.replaces != ""):
            raise ValueError("exactly a rotation names the key that it replaces")

    @property
    def where(self) -> str:
        """The event as an error message names it."""
        return f"trust event {self.height}"


TRUST_EVENT = Form(TrustEvent)
KEY_CHANGE = Form(KeyChange)
PLACE = Form(Place)


def sign_event(change: KeyChange, place: Place, issued_at_ms: int, signer: Signer) -> TrustEvent:
    """Return the event that makes `change` at `place`, signed by a trust-admin key. Raises Invalid."""
    body = KEY_CHANGE.body(change) | PLACE.body(place)
    body |= {"issued_at_ms": issued_at_ms, "signed_by": signer.key_id}
    from_body(body | {"signature": ""})  # nothing malformed is ever signed
    return from_body(body | {"signature": signer.sign(domains.TRUST_EVENT, record_bytes(body))})


def check_signature(event: TrustEvent, key: PublicKey) -> None:
    """Raise Invalid unless `key` signed `event`."""
    body = TRUST_EVENT.body(event)
    del body["signature"]
    try:
        key.verify(domains.TRUST_EVENT, record_bytes(body), event.signature)
    except SignatureInvalid as problem:
        hint = "the event was edited, or someone else signed it"
        raise Invalid(str(problem), event.where, hint) from problem


def event_hash(event: TrustEvent) -> str:
    """Return the hash that the next event signs over: of the whole event, its signature included."""
    return hash_in(domains.TRUST_EVENT_HASH, record_bytes(TRUST_EVENT.body(event)))


def log_id_of(first: TrustEvent) -> str:
    """Return the name of the log that begins with `first`."""
    return hash_in(domains.GENESIS, record_bytes(TRUST_EVENT.body(first)))


def to_body(event: TrustEvent) -> dict[str, JSONValue]:
    """Return the event as a JSON object."""
    return TRUST_EVENT.body(event)


def from_body(body: JSONValue, where: str = "trust event") -> TrustEvent:
    """Return the event of a JSON object. Raises Invalid for a member too many, too few or mistyped."""
    check_members(body, TRUST_EVENT.names, where)
    try:
        return TrustEvent(**body)
    except ValueError as problem:
        raise Invalid(str(problem), where) from problem


def to_payload(event: TrustEvent) -> bytes:
    """Return the canonical payload of the TRUST_EVENT node that carries `event`."""
    return record_bytes({"event": TRUST_EVENT.body(event), "type": PAYLOAD_TYPE})


def from_payload(payload: JSONValue, where: str = "TRUST_EVENT node") -> TrustEvent:
    """Return the event in the payload of a TRUST_EVENT node. Raises Invalid."""
    check_members(payload, ("event", "type"), where)
    if payload["type"] != PAYLOAD_TYPE:
        raise Invalid(f"its payload is of type {payload['type']!r}", where)
    return from_body(payload["event"], where)


def check_members(body: JSONValue, names: tuple[str, ...], where: str) -> None:
    """Raise Invalid unless `body` is an object with exactly these members."""
    if not isinstance(body, Mapping):
        raise Invalid(f"expected an object, not {type(body).__name__}", where)
    wrong = set(names) ^ set(body)
    if wrong:
        raise Invalid(f"missing or unknown members: {', '.join(sorted(map(str, wrong)))}", where)
