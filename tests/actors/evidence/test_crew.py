"""Helpers in processes of their own prove what they are asked to prove, or are done without."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from actors.evidence.crew import Crew, crew
from helm.crypto.domains import KeyPurpose
from helm.evidence.layout import SNAPSHOT
from helm.evidence.lines import write_lines
from helm.evidence.proven import keys_named_in, nothing
from helm.evidence.verify import verify_pack
from tests.helm.evidence.forger import RECEIPT_LINES, a_log, a_pack, edited, resealed, root_of, unpacked

ROOT = Path(__file__).resolve().parents[3]
MEMBERS = unpacked(a_pack())
KEYS = keys_named_in(MEMBERS[SNAPSHOT])
SIGNED = MEMBERS[RECEIPT_LINES].splitlines()
KEY = a_log().key(KeyPurpose.EXECUTION).public_key
PATIENCE_S = 60


def until_proven(hands: Crew, receipts: dict[str, bytes], wanted: dict[str, list[str]]) -> None:
    """Check that helpers answer as wanted of every shard, once they have nothing left to do."""
    proven = hands.start(receipts, KEYS)
    hands.finish(PATIENCE_S)
    assert {path: proven(path) for path in wanted} == wanted


@pytest.mark.parametrize("count", [1, 3])
def test_helpers_name_the_key_that_signed(count: int) -> None:
    hands = Crew(count, worth_it=1)
    bent = edited(SIGNED[-1], lambda receipt: receipt.update(tool="x"))
    odd = {"odd": write_lines([b"{}", b"", SIGNED[0], bent]), "empty": b""}
    many = {f"shard {number}": MEMBERS[RECEIPT_LINES] for number in range(100)}
    try:
        found = {"odd": ["", "", KEY, ""], "empty": []} | dict.fromkeys(many, [KEY] * len(SIGNED))
        until_proven(hands, many | odd, found)
    finally:
        hands.leave()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_outcome_is_the_same_with_any_number_of_helpers(count: int) -> None:
    bent = edited(SIGNED[1], lambda body: body.update(signature="ab" * 64))
    forged = resealed(MEMBERS | {RECEIPT_LINES: write_lines([SIGNED[0], bent, *SIGNED[2:]])})
    for raw in (a_pack(), forged):
        hands = Crew(count, worth_it=1)
        try:
            assert verify_pack(raw, root_of(a_log()), hands) == verify_pack(raw, root_of(a_log()))
        finally:
            hands.leave()


def test_few_receipts_start_no_process() -> None:
    with crew(2) as hands:
        assert hands is not None
        assert hands.start({RECEIPT_LINES: MEMBERS[RECEIPT_LINES]}, KEYS) is nothing


def test_without_a_core_to_spare_there_is_no_helper() -> None:
    with crew(0) as hands:
        assert hands is None


def test_a_process_that_must_not_start_others_verifies_alone() -> None:
    program = """
import sys
from actors.cli.offline import refuse
from tests.actors.evidence.test_crew import Crew, KEYS, MEMBERS, RECEIPT_LINES
hands = Crew(2, worth_it=1)
sys.addaudithook(refuse)
proven = hands.start({RECEIPT_LINES: MEMBERS[RECEIPT_LINES]}, KEYS)
assert proven(RECEIPT_LINES) == ()
hands.leave()
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT, timeout=PATIENCE_S)
