"""Every receipt of a pack can leave it with a proof that it was in it."""

from __future__ import annotations

from functools import cache

import pytest

from helm.crypto.canonical import reread
from helm.evidence.leaf import leaf_bytes, receipt_leaf
from helm.proofgraph.merkle import Head, ProofInvalid, verify_inclusion
from helm.receipts.chain import SealedReceipt
from tests.helm.evidence.forger import inclusion, lines_of, standalone
from tests.helm.evidence.material import Log


@cache
def receipts() -> tuple[SealedReceipt, ...]:
    log = Log().begin()
    return tuple(log.call("s1") for _ in range(20))


def raw_of(written: object) -> bytes:
    return bytes.fromhex(str(written).removeprefix("sha256:"))


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 8, 13, 20])
def test_each_receipt_is_proved_and_no_other_is(size: int) -> None:
    written, proofs = inclusion(receipts()[:size])
    stated = reread(written)
    head = Head(size=stated["size"], root=raw_of(stated["root"]))
    for sealed, proof in zip(receipts(), lines_of(proofs), strict=False):
        assert proof["receipt_id"] == sealed.receipt_id
        path = [raw_of(step) for step in proof["path"]]
        verify_inclusion(receipt_leaf(sealed), proof["index"], path, head)
        with pytest.raises(ProofInvalid):
            verify_inclusion(receipt_leaf(receipts()[(proof["index"] + 1) % 20]), proof["index"], path, head)


@pytest.mark.parametrize("size", [0, 1, 2, 3, 6, 8, 19])
def test_the_replay_script_builds_the_same_tree(size: int) -> None:
    written, proofs = inclusion(receipts()[:size])
    root, paths = standalone().tree([receipt_leaf(sealed) for sealed in receipts()[:size]])
    assert raw_of(reread(written)["root"]) == root
    assert [[raw_of(step) for step in proof["path"]] for proof in lines_of(proofs)] == paths


def test_a_leaf_shows_what_condensation_needs() -> None:
    sealed = receipts()[3]
    leaf = reread(leaf_bytes(sealed))
    assert leaf == {
        "body_hash": sealed.receipt_hash,
        "lamport_clock": 4,
        "log_id": sealed.content.log_id,
        "prev_hash": receipts()[2].signature,
        "risk_tier": "T1",
        "session": "s1",
        "signature": sealed.signature,
        "tenant": "acme",
    }
