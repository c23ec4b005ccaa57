"""Every field of a receipt is under its signature: nobody changes one and keeps the signature."""

from __future__ import annotations

from typing import Any

import pytest

from helm.contracts.receipt import RECEIPT
from helm.crypto import domains
from helm.crypto.canonical import record_bytes, reread
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SignatureInvalid, verify
from helm.evidence.signed import signed_bytes
from helm.evidence.unseal import unseal_receipt
from tests.helm.evidence.material import Log, key_of

PUBLIC_KEY = key_of(KeyPurpose.EXECUTION).public_key
SEALED = Log().begin().call("s1")
BODY: dict[str, Any] = reread(SEALED.json)


def check(body: dict[str, Any]) -> None:
    """Check the signature over every member but itself, as any reader in any language would."""
    said = {name: value for name, value in body.items() if name != "signature"}
    verify(PUBLIC_KEY, domains.RECEIPT, record_bytes(said), body["signature"])


def test_the_receipt_verifies_as_it_is() -> None:
    check(BODY)
    verify(PUBLIC_KEY, domains.RECEIPT, signed_bytes(unseal_receipt(BODY, "here")), SEALED.signature)


@pytest.mark.parametrize("name", sorted(BODY.keys() - {"signature"}))
def test_a_changed_field_breaks_the_signature(name: str) -> None:
    value = BODY[name]
    with pytest.raises(SignatureInvalid):
        check(BODY | {name: value + 1 if type(value) is int else f"{value}x"})


@pytest.mark.parametrize("name", sorted(BODY.keys() - {"signature"}))
def test_a_field_that_is_left_out_breaks_the_signature(name: str) -> None:
    with pytest.raises(SignatureInvalid):
        check({other: value for other, value in BODY.items() if other != name})


def test_an_added_field_breaks_the_signature() -> None:
    with pytest.raises(SignatureInvalid):
        check(BODY | {"evil": ""})


def test_all_fields_of_the_class_are_in_the_object_and_no_other_but_its_seals() -> None:
    fields = set(RECEIPT.names)
    assert BODY.keys() == fields | {"receipt_id", "signature"}
    assert RECEIPT.body(SEALED.content).keys() == fields
    assert reread(signed_bytes(SEALED)).keys() == fields | {"receipt_id"}
