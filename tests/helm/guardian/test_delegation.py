"""Delegations: what can be signed at all, and which calls are new."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose, PurposeMismatch
from helm.crypto.ed25519 import PublicKey, SigningKey
from helm.guardian.delegation import (
    MAX_TTL_MS,
    DelegationGrant,
    DelegationRevocation,
    check_grant,
    check_revocation,
    delegation_id,
    sign_grant,
    sign_revocation,
)
from helm.guardian.delegations import WINDOW, Delegations, Sequences

KEY = SigningKey.from_seed(b"d" * 32, KeyPurpose.DELEGATION)
OTHER = SigningKey.from_seed(b"o" * 32, KeyPurpose.DELEGATION)
EMERGENCY = SigningKey.from_seed(b"e" * 32, KeyPurpose.EMERGENCY)
HASH = "sha256:" + "a" * 64


def grant(**changes: Any) -> DelegationGrant:
    fields: dict[str, Any] = {
        "capabilities": {"pay": "args.n < 5", "read": ""},
        "challenge": "c" * 43,
        "delegate": "bot",
        "delegator": "boss",
        "expires_at_ms": 2_000,
        "issued_at_ms": 1_000,
        "key_id": KEY.key_id,
        "log_id": "sha256:log",
        "mfa_at_ms": 0,
        "mfa_evidence_hash": "",
        "mfa_method": "",
        "nonce": "0" * 32,
        "tenant": "t",
    }
    return DelegationGrant(**fields | changes)


def known(key: SigningKey) -> PublicKey:
    return PublicKey.from_hex(key.public_key)


@pytest.mark.parametrize(
    "changes",
    [
        {"delegate": "boss"},
        {"delegate": "two words"},
        {"delegator": ""},
        {"tenant": "t\n"},
        {"capabilities": {}},
        {"capabilities": {"read": "", "pay": ""}},
        {"capabilities": {"re ad": ""}},
        {"capabilities": {f"tool-{n:03}": "" for n in range(65)}},
        {"capabilities": {"read": "x" * 1001}},
        {"challenge": "c" * 42},
        {"challenge": "c" * 42 + "="},
        {"nonce": "0" * 31},
        {"nonce": "G" * 32},
        {"expires_at_ms": 1_000},
        {"expires_at_ms": 1_001 + MAX_TTL_MS},
        {"mfa_method": "webauthn"},
        {"mfa_method": "webauthn", "mfa_at_ms": 1},
        {"mfa_evidence_hash": HASH},
        {"mfa_method": "web authn", "mfa_at_ms": 1, "mfa_evidence_hash": HASH},
        {"mfa_method": "webauthn", "mfa_at_ms": 1, "mfa_evidence_hash": "sha256:short"},
    ],
    ids=str,
)
def test_what_is_no_delegation_cannot_even_be_signed(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"."):
        grant(**changes)


def test_a_delegation_is_signed_over_all_of_it() -> None:
    signature = sign_grant(grant(), KEY)
    check_grant(grant(), signature, known(KEY))
    for changes in ({"capabilities": {"pay": "", "read": ""}}, {"delegate": "eve"}, {"expires_at_ms": 3_000}):
        with pytest.raises(Invalid):
            check_grant(grant(**changes), signature, known(KEY))
    with pytest.raises(Invalid):
        check_grant(grant(), signature, known(OTHER))


@pytest.mark.parametrize("purpose", [one for one in KeyPurpose if one is not KeyPurpose.DELEGATION])
def test_a_key_of_another_purpose_delegates_nothing(purpose: KeyPurpose) -> None:
    with pytest.raises(PurposeMismatch):
        sign_grant(grant(), SigningKey.from_seed(b"x" * 32, purpose))


def test_a_signature_over_a_delegation_ends_none() -> None:
    end = DelegationRevocation(delegation_id="dlg_1", issued_at_ms=1, key_id=KEY.key_id, log_id="l", reason="over")
    purpose = KeyPurpose.DELEGATION
    check_revocation(end, sign_revocation(end, KEY), known(KEY), purpose)
    with pytest.raises(Invalid):
        check_revocation(end, sign_grant(grant(), KEY), known(KEY), purpose)
    with pytest.raises(Invalid):
        check_revocation(end, sign_revocation(end, EMERGENCY), known(EMERGENCY), purpose)


@pytest.mark.parametrize("reason", ["", "x" * 501, "two\nlines"], ids=["none", "long", "lines"])
def test_a_revocation_gives_its_reason(reason: str) -> None:
    with pytest.raises(ValueError, match="reason"):
        DelegationRevocation(delegation_id="dlg_1", issued_at_ms=1, key_id=KEY.key_id, log_id="l", reason=reason)


def test_no_delegation_is_given_twice() -> None:
    store = Delegations()
    store.bind(grant())
    with pytest.raises(Invalid, match="nonce"):
        store.bind(grant(delegate="another"))
    store.bind(grant(key_id=OTHER.key_id))


def test_whoever_gave_it_takes_it_back_or_the_emergency_key_does() -> None:
    store = Delegations()
    name = store.bind(grant())

    def end(key_id: str, delegation: str = name) -> DelegationRevocation:
        return DelegationRevocation(delegation_id=delegation, issued_at_ms=1, key_id=key_id, log_id="l", reason="x")

    assert store.revoker(end(KEY.key_id)) is KeyPurpose.DELEGATION
    assert store.revoker(end(OTHER.key_id)) is KeyPurpose.EMERGENCY
    assert store.revoker(end(KEY.key_id, "dlg_none")) is KeyPurpose.EMERGENCY
    store.end(name, "over")
    with pytest.raises(Invalid, match="has ended: over"):
        store.end(name, "again")
    with pytest.raises(Invalid, match="no such"):
        store.end("dlg_none", "over")


def test_a_revoked_key_takes_along_what_it_gave() -> None:
    store = Delegations()
    name, other = store.bind(grant()), store.bind(grant(key_id=OTHER.key_id))
    store.end_all_of(KEY.key_id)
    assert store.bound[name].ended
    assert not store.bound[other].ended


def test_the_name_of_a_delegation_is_its_content() -> None:
    assert delegation_id(grant()) == delegation_id(grant())
    assert delegation_id(grant()) != delegation_id(grant(nonce="1" * 32))


@given(st.lists(st.integers(min_value=-3, max_value=3 * WINDOW), max_size=200))
def test_no_sequence_is_let_through_twice_and_none_is_forgotten(numbers: list[int]) -> None:
    sequences, let_through = Sequences(), set[int]()
    for number in numbers:
        used = sequences.used(number)
        too_late = let_through and number <= max(let_through) - WINDOW
        assert used == (number < 1 or number in let_through or bool(too_late))
        if not used:
            sequences.note(number)
            let_through.add(number)
