"""A policy is put in force only with its keeper's signature, and only forwards."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import record_bytes
from helm.crypto.domains import KeyPurpose, PurposeMismatch
from helm.crypto.ed25519 import SigningKey
from helm.guardian.bundle_signature import (
    SIGNATURE,
    PolicySignature,
    check_signature,
    check_succession,
    sign_policy,
    signed_bytes,
)
from helm.guardian.policy import Policy
from tests.helm.guardian.bundles import policy

KEEPER = SigningKey.from_seed(bytes(range(32)), KeyPurpose.POLICY)
STRANGER = SigningKey.from_seed(bytes(32), KeyPurpose.POLICY)


def refused(compiled: Policy, signature: PolicySignature, key: str = KEEPER.public_key) -> Refused:
    with pytest.raises(Refused) as caught:
        check_signature(compiled, signature, key)
    return caught.value


def test_a_keeper_s_signature_is_good_for_its_policy() -> None:
    check_signature(policy(), sign_policy(policy(), KEEPER), KEEPER.public_key)


def test_a_signature_is_detached_and_small() -> None:
    signature = sign_policy(policy(), KEEPER)
    assert set(SIGNATURE.body(signature)) == {
        "epoch",
        "key_id",
        "p0_ceiling_hash",
        "policy_hash",
        "scope",
        "signature",
        "version",
    }
    assert len(record_bytes(SIGNATURE.body(signature))) < 600


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("epoch", 8),
        ("key_id", STRANGER.key_id),
        ("key_id", ""),
        ("p0_ceiling_hash", "sha256:" + "0" * 64),
        ("policy_hash", "sha256:" + "0" * 64),
        ("scope", "production"),
        ("version", "helm.policy-signature/2"),
        ("signature", "0" * 128),
        ("signature", ""),
        ("signature", sign_policy(policy(), KEEPER).signature.upper()),
        ("signature", sign_policy(policy(), STRANGER).signature),
    ],
)
def test_every_field_of_a_signature_is_signed(field: str, value: Any) -> None:
    forged = attrs.evolve(sign_policy(policy(), KEEPER), **{field: value})
    assert refused(policy(), forged).code == ReasonCode.POLICY_SIGNATURE_INVALID


def test_no_byte_of_a_signature_may_change() -> None:
    good = sign_policy(policy(), KEEPER)
    for place in range(0, 128, 5):
        digit = "0" if good.signature[place] != "0" else "1"
        bad = attrs.evolve(good, signature=good.signature[:place] + digit + good.signature[place + 1 :])
        assert refused(policy(), bad).code == ReasonCode.POLICY_SIGNATURE_INVALID


def test_a_stranger_s_signature_is_refused_whatever_it_calls_itself() -> None:
    strange = sign_policy(policy(), STRANGER)
    assert refused(policy(), strange).code == ReasonCode.POLICY_SIGNATURE_INVALID
    renamed = attrs.evolve(strange, key_id=KEEPER.key_id)
    assert refused(policy(), renamed).code == ReasonCode.POLICY_SIGNATURE_INVALID
    assert refused(policy(), strange, "0" * 64).code == ReasonCode.POLICY_SIGNATURE_INVALID
    assert refused(policy(), strange, "not a key").code == ReasonCode.POLICY_SIGNATURE_INVALID


def test_a_good_signature_does_not_vouch_for_another_policy() -> None:
    signature = sign_policy(policy(), KEEPER)
    looser = policy("tools", "pay", principals=["*"])
    assert refused(looser, signature).code == ReasonCode.POLICY_HASH_MISMATCH
    higher = policy("p0", max_risk_tier="T3")
    assert refused(higher, signature).code == ReasonCode.POLICY_HASH_MISMATCH


@pytest.mark.parametrize("lie", [{"epoch": 99}, {"scope": "production"}])
def test_a_signature_cannot_state_more_than_its_policy(lie: dict[str, Any]) -> None:
    """Even the keeper cannot: what is compared at activation is the policy's own epoch and scope."""
    unsigned = attrs.evolve(sign_policy(policy(), KEEPER), signature="", **lie)
    signed = attrs.evolve(unsigned, signature=KEEPER.sign(b"HELM/PolicyBundle/v1\n", signed_bytes(unsigned)))
    assert refused(policy(), signed).code == ReasonCode.POLICY_SIGNATURE_INVALID


@pytest.mark.parametrize("purpose", [purpose for purpose in KeyPurpose if purpose != KeyPurpose.POLICY])
def test_a_key_for_anything_else_does_not_sign_policies(purpose: KeyPurpose) -> None:
    with pytest.raises(PurposeMismatch):
        sign_policy(policy(), SigningKey.from_seed(bytes(range(32)), purpose))


# Succession


def code_of(active: Policy, candidate: Policy) -> ReasonCode:
    with pytest.raises(Refused) as caught:
        check_succession(active, candidate)
    return caught.value.code


def test_the_first_policy_follows_nothing() -> None:
    check_succession(None, policy())


def test_a_newer_policy_follows_and_the_same_one_follows_itself() -> None:
    check_succession(policy(epoch=7), policy(epoch=8))
    check_succession(policy(epoch=7), policy(epoch=70))
    check_succession(policy(epoch=7), policy(epoch=7))


def test_an_older_policy_is_never_put_back() -> None:
    assert code_of(policy(epoch=7), policy(epoch=6)) == ReasonCode.POLICY_EPOCH_CHANGED


def test_an_epoch_belongs_to_one_policy() -> None:
    assert code_of(policy(), policy("tools", "pay", principals=[])) == ReasonCode.POLICY_HASH_MISMATCH


def test_a_policy_of_another_place_does_not_follow() -> None:
    assert code_of(policy(), policy(scope="production", epoch=8)) == ReasonCode.POLICY_VIOLATION
