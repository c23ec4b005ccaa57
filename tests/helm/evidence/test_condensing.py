"""Condensed packs: smaller, verified by both, whole again byte for byte; and what may never be condensed (T5, T6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helm.contracts.errors import Invalid
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Status
from helm.crypto.canonical import record_bytes
from helm.crypto.domains import KeyPurpose
from helm.crypto.hashing import sha256
from helm.evidence import archive
from helm.evidence.condense import Condensed, condense, rehydrate
from helm.evidence.condensed import COLD, LEAF, LEAVES, T2_WINDOW_MS, leaf_of
from helm.evidence.layout import MANIFEST
from helm.evidence.lines import write_lines
from helm.evidence.reading import Reading
from helm.evidence.trust_root import TrustRoot
from helm.evidence.verify import check_pack
from helm.receipts.chain import SealedReceipt
from tests.helm.evidence.forger import (
    RECEIPT_LINES,
    check_refused,
    edited,
    lines_of,
    pack_of,
    pack_of_scope,
    refusing_check,
    refusing_check_of_script,
    resealed,
    root_of,
    unpacked,
)
from tests.helm.evidence.material import Log, key_of
from tests.helm.evidence.risky import covered_log, risky_log, run


def read(log: Log, raw: bytes | None = None) -> Reading:
    return check_pack(pack_of(log) if raw is None else raw, root_of(log))


def condensed(log: Log) -> Condensed:
    return condense(read(log), log.key(KeyPurpose.EVIDENCE))


def test_a_condensed_pack_is_smaller_verified_by_both_and_whole_again_byte_for_byte() -> None:
    log = covered_log()
    whole, made = pack_of(log), condensed(log)
    assert made.receipts == 4 and len(made.pack) < len(whole)
    assert (refusing_check(made.pack, root_of(log)), refusing_check_of_script(made.pack, root_of(log))) == ("", "")
    reading = read(log, made.pack)
    assert [leaf.risk_tier for leaf in reading.condensed.values()] == ["T0", "T1", "T1", "T0"]
    kept = [sealed.content.risk_tier for sealed in reading.receipts.values()]
    assert kept == ["T3", "T2", "", "T1"]  # the refusal, and what no checkpoint covers yet, stay whole
    assert rehydrate(reading, made.cold) == whole


def test_the_same_pack_is_condensed_into_the_same_bytes() -> None:
    log = covered_log()
    assert condensed(log) == condensed(log)


def test_t2_is_condensed_after_its_window_and_t3_never() -> None:
    log = risky_log()
    run(log, "T2")
    run(log, "T3")
    log.checkpoint()
    with pytest.raises(Invalid, match="nothing in this pack can be condensed"):
        condensed(log)
    log.now_ms += T2_WINDOW_MS
    log.refuse("s1")
    log.checkpoint()
    made = condensed(log)
    assert [leaf.risk_tier for leaf in read(log, made.pack).condensed.values()] == ["T2"]
    assert refusing_check_of_script(made.pack, root_of(log)) == ""


def forced(log: Log, choose: Callable[[SealedReceipt], bool]) -> bytes:
    """Return a pack that whoever holds the evidence key condensed as they liked."""
    reading = read(log)
    members = dict(reading.members)
    chosen = [sealed for sealed in reading.receipts.values() if choose(sealed)]
    assert chosen
    lines = zip(reading.receipts.values(), members[RECEIPT_LINES].splitlines(), strict=True)
    members[RECEIPT_LINES] = write_lines([b"" if sealed in chosen else line for sealed, line in lines])
    members[LEAVES] = write_lines([record_bytes(dict(sorted(attrs_of(sealed).items()))) for sealed in chosen])
    members[COLD] = record_bytes({"cold_hash": "", "manifest_hash": "", "receipts": len(chosen)})
    return resealed(members)


def attrs_of(sealed: SealedReceipt) -> dict[str, Any]:
    leaf = leaf_of(sealed)
    return {name: getattr(leaf, name) for name in leaf.__struct_fields__}


@pytest.mark.parametrize(
    "choose",
    [
        lambda sealed: sealed.content.risk_tier == "T3",
        lambda sealed: sealed.content.risk_tier == "T2",
        lambda sealed: sealed.content.verdict == "DENY",
        lambda sealed: sealed.content.lamport_clock == 8,
        lambda sealed: True,
    ],
    ids=["T3", "T2 within its window", "a refusal", "what no checkpoint covers", "everything"],
)
def test_what_must_stay_whole_is_refused_where_somebody_condensed_it(choose: Callable[[SealedReceipt], bool]) -> None:
    log = covered_log()
    check_refused(forced(log, choose), "condensed", root=root_of(log))


def test_a_log_without_checkpoints_is_never_condensed() -> None:
    log = risky_log()
    run(log, "T0")
    with pytest.raises(Invalid, match="nothing in this pack can be condensed"):
        condensed(log)
    check_refused(forced(log, lambda _: True), "condensed", root=root_of(log))


def fail(log: Log) -> SealedReceipt:
    """Write an allowed call, and its failure."""
    judgement = log.judge("s1", "notes.T0", {})
    intent = log.write_intent(judgement)
    return log.end(judgement, intent, how=(Status.FAILED, ReasonCode.ERR_CONNECTOR_ERROR, "it broke"))


def test_a_call_that_failed_stays_whole() -> None:
    log = covered_log()
    failed = fail(log)
    log.checkpoint()
    made = condensed(log)
    assert failed.receipt_hash in read(log, made.pack).receipts
    check_refused(
        forced(log, lambda sealed: sealed.receipt_hash == failed.receipt_hash), "condensed", root=root_of(log)
    )


FIELDS = ("body_hash", "lamport_clock", "log_id", "prev_hash", "risk_tier", "session", "signature", "tenant")


@pytest.mark.parametrize("field", FIELDS)
def test_no_word_of_a_leaf_can_be_changed(field: str) -> None:
    log = covered_log()
    members = unpacked(condensed(log).pack)
    leaves = lines_of(members[LEAVES])
    value = leaves[1][field]
    leaves[1][field] = value + 1 if type(value) is int else "T0" if field == "risk_tier" else "0" * len(value)
    members[LEAVES] = write_lines([record_bytes(leaf) for leaf in leaves])
    by = ("receipts", "chain", "inclusion", "checkpoints", "condensed", "complete")
    check_refused(resealed(members), *by, root=root_of(log))


@pytest.mark.parametrize("number", range(4))
def test_no_leaf_can_be_left_out_doubled_or_moved(number: int) -> None:
    log = covered_log()
    members = unpacked(condensed(log).pack)
    lines = members[LEAVES].splitlines(keepends=True)
    for changed in (lines[:number] + lines[number + 1 :], [*lines, lines[number]], [lines[number], *lines]):
        check_refused(
            resealed(members | {LEAVES: b"".join(changed)}), "receipts", "chain", "complete", root=root_of(log)
        )


def test_a_condensed_pack_that_says_something_else_of_its_cold_file_is_refused_or_not_made_whole() -> None:
    log = covered_log()
    made = condensed(log)
    members = unpacked(made.pack)
    fewer = resealed(members | {COLD: edited(members[COLD], lambda said: said.update(receipts=3))})
    check_refused(fewer, "condensed", root=root_of(log))
    for path in (COLD, LEAVES):
        without = {other: raw for other, raw in members.items() if other != path}
        check_refused(resealed(without), "condensed", "chain", "complete", "receipts", root=root_of(log))
    other = covered_log()
    run(other, "T0")
    other.checkpoint()
    with pytest.raises(Invalid, match="not the file"):
        rehydrate(read(log, made.pack), condensed(other).cold)
    whole = pack_of(log)
    with pytest.raises(Invalid, match="the pack is whole"):
        rehydrate(read(log, whole), made.cold)
    with pytest.raises(Invalid, match="condensed already"):
        condense(read(log, made.pack), log.key(KeyPurpose.EVIDENCE))
    spare = resealed(unpacked(whole) | {COLD: members[COLD]})
    check_refused(spare, "condensed", root=root_of(log))


def test_a_cold_file_with_another_receipt_in_it_makes_no_whole_pack() -> None:
    """Whoever holds the evidence key names its hash, and still cannot put words into the receipt."""
    log = covered_log()
    made = condensed(log)
    inside = archive.read(made.cold)
    path = next(path for path in inside if path != MANIFEST)
    one, *others = inside[path].splitlines()
    inside[path] = write_lines([edited(one, lambda receipt: receipt.update(tool="another")), *others])
    cold = archive.write(archive.Member(*one) for one in inside.items())
    members = unpacked(made.pack)
    named = resealed(members | {COLD: edited(members[COLD], lambda said: said.update(cold_hash=sha256(cold)))})
    raw = rehydrate(read(log, named), cold)
    assert refusing_check(raw, root_of(log)) == "manifest"


def test_a_pinned_execution_key_vouches_for_a_condensed_pack_by_its_checkpoint() -> None:
    log = covered_log()
    made = condensed(log)
    pin = TrustRoot(execution_key=log.key(KeyPurpose.EXECUTION).public_key)
    assert (refusing_check(made.pack, pin), refusing_check_of_script(made.pack, pin)) == ("", "")
    stranger = TrustRoot(execution_key=key_of(KeyPurpose.EXECUTION, 2).public_key)
    assert refusing_check(made.pack, stranger) == refusing_check_of_script(made.pack, stranger) == "receipts"


KINDS = ("T0", "T1", "T2", "T3", "refuse", "other", "checkpoint", "fail")


@settings(max_examples=25)
@given(st.lists(st.sampled_from(KINDS), max_size=12), st.booleans())
def test_any_log_condensed_is_verified_by_both_and_whole_again(steps: list[str], aged: bool) -> None:
    log = risky_log()
    for step in ("T1", *steps, "checkpoint"):
        match step:
            case "checkpoint":
                log.checkpoint()
            case "refuse":
                log.refuse("s1")
            case "other":
                run(log, "T1", "s2")
            case "fail":
                fail(log)
            case tier:
                run(log, tier)
    if aged:
        log.now_ms += T2_WINDOW_MS
        log.refuse("s1")
        log.checkpoint()
    whole, made = pack_of(log), condensed(log)
    assert (refusing_check(made.pack, root_of(log)), refusing_check_of_script(made.pack, root_of(log))) == ("", "")
    reading = read(log, made.pack)
    assert "T3" not in {leaf.risk_tier for leaf in reading.condensed.values()}
    assert rehydrate(reading, made.cold) == whole


def test_a_pack_of_several_sessions_is_not_condensed() -> None:
    """A leaf has its place by its session's clock alone."""
    log = covered_log()
    raw = pack_of_scope(log, "whole")
    with pytest.raises(Invalid, match="about 2 sessions"):
        condense(read(log, raw), log.key(KeyPurpose.EVIDENCE))
    members = unpacked(condensed(log).pack)
    mixed = resealed(unpacked(raw) | {path: members[path] for path in (COLD, LEAVES)})
    check_refused(mixed, "receipts", root=root_of(log))


def test_a_leaf_in_a_pack_of_several_sessions_is_refused() -> None:
    log = Log().begin()
    sealed = log.call("s1")
    log.call("s2")
    log.checkpoint()
    members = unpacked(pack_of_scope(log, "whole"))
    _, *others = members[RECEIPT_LINES].splitlines(keepends=True)
    members[RECEIPT_LINES] = b"".join([b"\n", *others])
    members[LEAVES] = record_bytes(LEAF.body(leaf_of(sealed))) + b"\n"
    members[COLD] = record_bytes({"cold_hash": sha256(b""), "manifest_hash": sha256(b""), "receipts": 1})
    check_refused(resealed(members), "receipts", root=root_of(log))
