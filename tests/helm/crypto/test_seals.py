"""What a record earns stands in its place, whatever a caller has written into the others (T2, T5)."""

from __future__ import annotations

from typing import Any, Final, TypeVar

import pytest

from helm.contracts.decision import DECISION, Decision
from helm.contracts.form import Noun, kinds_of
from helm.contracts.receipt import GENESIS, RECEIPT, Receipt
from helm.contracts.record import RECORD, BoundaryRecord
from helm.crypto.canonical import canonical, insert_member, parse
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SigningKey
from helm.crypto.seals import seal_decision, seal_record
from helm.receipts.chain import seal

N = TypeVar("N", bound=Noun)

KEY: Final = SigningKey.from_seed(b"k" * 32, KeyPurpose.EXECUTION)

PLACES: Final = ("delegation_id", "record_hash", "record_id", "sandbox_grant_hash", "status")
"""Before which members something is put in."""

FORGED: Final = "".join(f'","{place}":"x' for place in PLACES) + "".join(f',"{place}":' for place in PLACES) + "\\"
"""What would move every one of them, if it were not escaped."""

FITTING: Final[dict[str, Any]] = {
    "decision_id": "dec_0123456789abcdef0123456789abcdef",
    "lamport_clock": 1,
    "prev_hash": GENESIS,
    "reason_code": "",
    "verdict": "ALLOW",
}
"""What no caller writes, as it has to be."""


def forged(record: type[N]) -> N:
    """Return a record that tries it in every text that may be anything, alone or among others."""
    values = {str: FORGED, int: 1, bool: True, tuple[str, ...]: (FORGED, FORGED)}
    said = {name: values.get(kind, ()) for name, kind in kinds_of(record).items()}
    return record(**said | {name: value for name, value in FITTING.items() if name in said})


def listed(body: dict[str, Any]) -> dict[str, Any]:
    return {name: [*value] if type(value) is tuple else value for name, value in body.items()}


def test_no_text_of_a_decision_moves_its_id() -> None:
    sealed = seal_decision(forged(Decision))
    assert parse(sealed.json) == {**listed(DECISION.body(sealed.content)), "decision_id": sealed.id}
    assert canonical(parse(sealed.json)) == sealed.json


def test_no_text_of_a_record_moves_its_id_or_its_hash() -> None:
    sealed = seal_record(forged(BoundaryRecord))
    earned = {"record_id": sealed.id, "record_hash": sealed.hash}
    assert parse(sealed.json) == {**listed(RECORD.body(sealed.content)), **earned}
    assert canonical(parse(sealed.json)) == sealed.json


def test_no_text_of_a_receipt_moves_its_id_or_its_signature() -> None:
    sealed = seal(forged(Receipt), KEY)
    earned = {"receipt_id": sealed.receipt_id, "signature": sealed.signature}
    assert parse(sealed.json) == {**listed(RECEIPT.body(sealed.content)), **earned}
    assert canonical(parse(sealed.json)) == sealed.json


def test_what_has_no_place_is_not_put_anywhere() -> None:
    with pytest.raises(ValueError, match="has no member"):
        insert_member(b'{"a":1}', b',"b":2', b',"c":')
