"""An event that is not exactly an event is refused before anyone asks who signed it."""

from __future__ import annotations

from typing import Any

import pytest

from helm.contracts.errors import Invalid
from helm.crypto.canonical import canonical, parse
from helm.crypto.domains import PurposeMismatch
from helm.crypto.ed25519 import PublicKey
from helm.trust.event import (
    FIRST_PLACE,
    check_signature,
    from_body,
    from_payload,
    sign_event,
    to_body,
    to_payload,
)
from tests.helm.trust.history import ADMIN, EXECUTION, NOW_MS, History, adding

EVENT = History.begun().events[0]


def test_an_event_survives_its_node() -> None:
    payload = parse(to_payload(EVENT))
    assert payload["type"] == "TRUST_EVENT"
    assert from_payload(payload) == EVENT
    assert canonical(payload) == to_payload(EVENT)


@pytest.mark.parametrize("name", sorted(to_body(EVENT)))
def test_a_missing_member_is_refused(name: str) -> None:
    body = to_body(EVENT)
    del body[name]
    with pytest.raises(Invalid, match=name):
        from_body(body)


def test_a_member_nobody_knows_is_refused() -> None:
    with pytest.raises(Invalid, match="extra"):
        from_body(to_body(EVENT) | {"extra": ""})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("height", True),
        ("height", 1.0),
        ("height", "1"),
        ("height", -1),
        ("issued_at_ms", 2**53),
        ("issued_at_ms", None),
        ("kind", "KEY_FORGOTTEN"),
        ("kind", ["KEY_ADDED"]),
        ("purpose", "everything"),
        ("purpose", ""),
        ("reason", ""),
        ("reason", "x" * 501),
        ("reason", "\x1b[2Jwiped"),
        ("reason", "\u202egnidaelsim"),
        ("reason", "\ud800"),
        ("key_id", 7),
        ("replaces", "key_00"),
        ("role", "payments"),
        ("role", None),
    ],
)
def test_a_mistyped_member_is_refused(name: str, value: Any) -> None:
    with pytest.raises(Invalid):
        from_body(to_body(EVENT) | {name: value})


@pytest.mark.parametrize("role", ["", "Payments", "1st", "pay ments", "p" * 65, "pay\u0430", "payments\n"])
def test_what_is_no_roles_name_is_granted_to_nobody(role: str) -> None:
    with pytest.raises(Invalid):
        from_body(to_body(EVENT) | {"kind": "ROLE_GRANTED", "role": role})


@pytest.mark.parametrize("body", [None, [], "event", 1])
def test_what_is_no_object_is_refused(body: Any) -> None:
    with pytest.raises(Invalid, match="expected an object"):
        from_body(body)
    with pytest.raises(Invalid, match="expected an object"):
        from_payload({"type": "TRUST_EVENT", "event": body})


def test_another_kind_of_payload_is_refused() -> None:
    with pytest.raises(Invalid, match="FREEZE"):
        from_payload({"type": "FREEZE", "event": to_body(EVENT)})


@pytest.mark.parametrize("name", sorted(set(to_body(EVENT)) - {"signature"}))
def test_every_member_is_under_the_signature(name: str) -> None:
    edited = to_body(EVENT)
    others = {"kind": "KEY_REVOKED", "purpose": "policy", "reason": "another"}
    edited[name] = others.get(name, f"{edited[name]}0" if type(edited[name]) is str else edited[name] + 1)
    if name == "replaces":
        edited["kind"] = "KEY_ROTATED"
    if name == "role":
        edited |= {"kind": "ROLE_GRANTED", "role": "payments"}
    with pytest.raises(Invalid, match="signature"):
        check_signature(from_body(edited), PublicKey.from_hex(ADMIN.public_key))


def test_a_key_that_is_for_something_else_signs_no_event() -> None:
    with pytest.raises(PurposeMismatch):
        sign_event(adding(EXECUTION), FIRST_PLACE, NOW_MS, EXECUTION)


def test_nothing_malformed_is_signed() -> None:
    with pytest.raises(Invalid):
        sign_event(adding(EXECUTION), FIRST_PLACE, -1, ADMIN)
