"""Receipts: named by what they say, signed over all of it, each over the one before (T5, T6)."""

from __future__ import annotations

from typing import Any

import pytest

from helm.contracts.errors import Invalid
from helm.contracts.receipt import GENESIS, RECEIPT, RECEIPT_VERSION, Receipt
from helm.crypto import domains
from helm.crypto.canonical import canonical, parse
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey, SignatureInvalid, SigningKey, verify
from helm.receipts.chain import START, Link, SealedReceipt, SessionChains, name, seal

KEY = SigningKey.from_seed(b"k" * 32, KeyPurpose.EXECUTION)

FIRST = Receipt(
    args_hash="sha256:a",
    decision_hash="sha256:d",
    decision_id="dec_1",
    door="embedding",
    effect_id="eff_1",
    fuel_used=0,
    idempotency_key='quoted " and \\ and \u00e9 and ,"status":',
    intent_node="sha256:i",
    issued_at_ms=1,
    key_id=KEY.key_id,
    lamport_clock=1,
    lease_id="",
    log_id="sha256:log",
    module_hash="",
    output_hash="sha256:o",
    policy_epoch=7,
    policy_hash="sha256:p",
    prev_hash=GENESIS,
    principal="agent",
    reason_code="",
    record_hash="sha256:r",
    risk_tier="T1",
    sandbox_grant_hash="",
    sandbox_limits=(),
    session_id="s",
    status="SUCCESS",
    tenant="t",
    tool="read",
    transport="in-process",
    trap="",
    verdict="ALLOW",
    version=RECEIPT_VERSION,
)


def next_of(sealed: SealedReceipt, **changes: Any) -> Receipt:
    """Return the receipt that follows, but for the changes."""
    following = FIRST.but(lamport_clock=sealed.content.lamport_clock + 1, prev_hash=sealed.signature)
    return following.but(**changes)


def test_a_sealed_receipt_is_one_canonical_object() -> None:
    sealed = seal(FIRST, KEY)
    body = parse(sealed.json)
    assert canonical(body) == sealed.json
    said = RECEIPT.body(FIRST) | {"sandbox_limits": []}
    assert body == {**said, "receipt_id": sealed.receipt_id, "signature": sealed.signature}
    assert sealed.receipt_id == name(said)


def test_the_signature_covers_every_member_but_itself() -> None:
    body = parse(seal(FIRST, KEY).json)
    signature = body.pop("signature")
    verify(KEY.public_key, domains.RECEIPT, canonical(body), signature)
    assert "receipt_id" in body
    for member, value in body.items():
        other = [["fuel", 1]] if type(value) is list else value + 1 if type(value) is int else value + "x"
        changed = {**body, member: other}
        with pytest.raises(SignatureInvalid):
            verify(KEY.public_key, domains.RECEIPT, canonical(changed), signature)


def test_a_receipt_says_who_signed_it() -> None:
    assert PublicKey.from_hex(KEY.public_key).key_id == parse(seal(FIRST, KEY).json)["key_id"]


@pytest.mark.parametrize(
    "changes",
    [
        {"lamport_clock": 0},
        {"lamport_clock": 2},
        {"prev_hash": "00"},
        {"verdict": "DENY"},
        {"verdict": "MAYBE"},
    ],
    ids=str,
)
def test_a_receipt_that_contradicts_itself_cannot_be_built(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"receipt|cannot carry"):
        FIRST.but(**changes)


def test_a_session_goes_on_where_it_stopped() -> None:
    chains = SessionChains()
    assert chains.latest(("t", "s")) == START
    first = seal(FIRST, KEY)
    chains.extend(FIRST, first.signature)
    second = next_of(first)
    chains.extend(second, "sig2")
    assert chains.latest(("t", "s")) == Link(2, "sig2")
    assert chains.latest(("u", "s")) == START


def test_a_missing_doubled_moved_or_foreign_receipt_does_not_follow() -> None:
    chains, first = SessionChains(), seal(FIRST, KEY)
    second = seal(next_of(first), KEY)
    third = seal(next_of(second), KEY)
    chains.extend(first.content, first.signature)
    for wrong in (
        first,  # doubled
        third,  # one is missing
        seal(next_of(first, prev_hash="00" * 64), KEY),  # over another signature
        seal(next_of(first, session_id="other"), KEY),  # of a session that has none yet
    ):
        with pytest.raises(Invalid, match="receipt"):
            chains.extend(wrong.content, wrong.signature, "entry 9")
    chains.extend(second.content, second.signature)
    chains.extend(third.content, third.signature)
