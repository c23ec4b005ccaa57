"""Public vectors for signatures: Wycheproof, CCTV's odd ones, speccheck."""

from __future__ import annotations

from helm.crypto.ed25519 import SignatureInvalid, verify
from tests import vectors


def accepted(public_key: str, message: bytes, signature: str) -> bool:
    try:
        verify(public_key, b"", message, signature)
    except SignatureInvalid:
        return False
    return True


def test_wycheproof_finds_nothing() -> None:
    groups = vectors.load(vectors.folder("wycheproof") / "ed25519_test.json")["testGroups"]
    cases = [(group["publicKey"]["pk"], case) for group in groups for case in group["tests"]]
    assert len(cases) == 151
    wrong = [
        case["tcId"]
        for key, case in cases
        if accepted(key, bytes.fromhex(case["msg"]), case["sig"]) != (case["result"] == "valid")
    ]
    assert wrong == []


def test_of_914_odd_signatures_only_the_one_without_a_flaw_is_accepted() -> None:
    cases = vectors.load(vectors.folder("ed25519") / "cctv_ed25519vectors.json")
    assert len(cases) == 914
    taken = [case for case in cases if accepted(case["key"], case["msg"].encode(), case["sig"])]
    assert [case["flags"] for case in taken] == [None]


def test_signatures_that_verifiers_disagree_about_are_all_refused() -> None:
    cases = vectors.load(vectors.folder("ed25519") / "speccheck_cases.json")
    assert len(cases) == 12
    taken = [
        number
        for number, case in enumerate(cases)
        if accepted(case["pub_key"], bytes.fromhex(case["message"]), case["signature"])
    ]
    assert taken == []
