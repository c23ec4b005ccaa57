"""A pack whose log was covered by checkpoints: nothing can be left out below the last one, whoever tries (T5, T6)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helm.contracts.errors import Invalid
from helm.crypto.canonical import record_bytes
from helm.crypto.domains import COSIGNATURE, KeyPurpose
from helm.evidence.checkpoint_proofs import HEAD, PROOFS, hash_leaf, leaf_of
from helm.evidence.checkpoints import seal
from helm.evidence.layout import HEAD as TREE_HEAD
from helm.evidence.lines import write_lines
from helm.evidence.note import note_text
from helm.evidence.pack import PackMaterial, build
from helm.evidence.refold import Refold
from helm.evidence.selection import Selection
from helm.evidence.trust_root import TrustRoot
from helm.evidence.unseal import unseal_receipt
from helm.proofgraph.checkpoint import SealedCheckpoint
from helm.proofgraph.merkle import Head, Tree, verify_consistency
from helm.proofgraph.trees import read_peaks
from tests.helm.evidence.forger import (
    NODE_LINES,
    RECEIPT_LINES,
    SCRIPT,
    a_log,
    a_pack,
    check_refused,
    edited,
    inclusion,
    lines_of,
    pack_of,
    refusing_check,
    refusing_check_of_script,
    resealed,
    root_of,
    unpacked,
)
from tests.helm.evidence.material import TENANT, Log, addition, key_of, latest_of, trees_of

Change = Callable[[dict[str, Any]], object]


@pytest.mark.parametrize("session", ["s1", "s2"])
def test_a_covered_session_is_verified_by_both(session: str) -> None:
    raw = a_pack(session)
    assert {HEAD, PROOFS} <= unpacked(raw).keys()
    assert (refusing_check(raw), refusing_check_of_script(raw)) == ("", "")


def test_a_session_before_any_checkpoint_has_no_proof_and_one_after_it_has_proof_of_what_is_covered() -> None:
    log = Log().begin()
    log.call("s1")
    assert not {HEAD, PROOFS} & unpacked(pack_of(log)).keys()
    log.checkpoint()
    log.call("s1")
    raw = pack_of(log)
    assert len(lines_of(unpacked(raw)[PROOFS])) == 1
    assert (refusing_check(raw, root_of(log)), refusing_check_of_script(raw, root_of(log))) == ("", "")


def test_a_pack_reaches_to_the_checkpoint_that_covers_it_and_no_further() -> None:
    log = Log().begin()
    log.call("s1")
    log.checkpoint()
    before = pack_of(log)
    log.call("s2")
    log.checkpoint()
    assert pack_of(log) == before
    assert lines_of(unpacked(before)[NODE_LINES])[-1]["kind"] == "CHECKPOINT"


def cut_off(raw: bytes) -> bytes:
    """Return the pack without the last outcome of its session, everything else made to fit by its evidence key."""
    members = unpacked(raw)
    nodes = lines_of(members[NODE_LINES])
    [outcome] = [node for node in nodes if node["kind"] == "EFFECT"][-1:]
    nodes.remove(outcome)
    members[NODE_LINES] = write_lines([record_bytes(node) for node in nodes])
    left = lines_of(members[RECEIPT_LINES])[:-1]
    members[RECEIPT_LINES] = write_lines([record_bytes(body) for body in left])
    members[TREE_HEAD] = inclusion([unseal_receipt(body, RECEIPT_LINES) for body in left])
    intent = outcome["payload"]["intent_node"]

    def fit(body: dict[str, Any]) -> None:
        del body["receipts"]["indexes"][-1:]

    lines = members[PROOFS].splitlines()
    members[PROOFS] = b"".join(line + b"\n" for line in (*lines[:-1], edited(lines[-1], fit)))
    return resealed(
        members, lambda cover: attrs.evolve(cover, open_intents=tuple(sorted((*cover.open_intents, intent))))
    )


def test_an_outcome_cannot_be_withheld_below_a_checkpoint() -> None:
    """Before there were checkpoints, whoever held the evidence key could leave the end of a session out."""
    check_refused(cut_off(a_pack()), "checkpoints")


def of_line(number: int, change: Change) -> bytes:
    members = unpacked(a_pack())
    lines = members[PROOFS].splitlines()
    lines[number] = edited(lines[number], change)
    return resealed(members | {PROOFS: b"".join(line + b"\n" for line in lines)})


FORGERIES: dict[str, Change] = {
    "another place": lambda line: line["receipts"]["indexes"].__setitem__(0, 1),
    "a place that stands twice": lambda line: line["receipts"].update(indexes=[0, 0]),
    "places in another order": lambda line: line["receipts"]["indexes"].reverse(),
    "a place beyond the tree": lambda line: line["receipts"]["indexes"].__setitem__(-1, 10**6),
    "a place before the tree": lambda line: line["receipts"]["indexes"].__setitem__(0, -1),
    "a place that is no number": lambda line: line["receipts"]["indexes"].__setitem__(0, True),
    "one place more": lambda line: line["receipts"]["indexes"].append(3),
    "one place less": lambda line: line["records"]["indexes"].pop(),
    "a longer proof": lambda line: line["records"]["path"].append("sha256:" + "0" * 64),
    "a shorter proof": lambda line: line["receipts"]["path"].pop(),
    "another hash": lambda line: line["records"]["path"].__setitem__(0, "sha256:" + "0" * 64),
    "a hash in another form": lambda line: line["records"]["path"].__setitem__(0, "SHA256:" + "0" * 64),
    "a hash that is none": lambda line: line["records"]["path"].__setitem__(0, 7),
    "another checkpoint": lambda line: line.update(sequence=2),
    "one member more": lambda line: line.update(spare=1),
    "one tree less": lambda line: line.pop("records"),
    "a tree that is none": lambda line: line.update(records=[]),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_an_edited_proof_is_refused_by_both(forgery: str) -> None:
    check_refused(of_line(0, FORGERIES[forgery]), "checkpoints")


STANDINGS: dict[str, Change] = {
    "another session's place": lambda said: said["standing"][0].update(index=1),
    "no place": lambda said: said["standing"][0].update(index=-1),
    "an earlier checkpoint": lambda said: said.update(sequence=1),
    "a longer proof": lambda said: said["standing"][0]["path"].append("sha256:" + "0" * 64),
    "a shorter proof": lambda said: said["standing"][0]["path"].clear(),
    "another hash": lambda said: said["standing"][0]["path"].__setitem__(0, "sha256:" + "0" * 64),
    "one member more": lambda said: said.update(spare=1),
    "one session more": lambda said: said["standing"].append(said["standing"][0]),
    "one session less": lambda said: said["standing"].clear(),
    "a place of one member more": lambda said: said["standing"][0].update(spare=1),
    "no place at all": lambda said: said.update(standing=[1]),
    "no list of places": lambda said: said.update(standing=1),
}


@pytest.mark.parametrize("forgery", STANDINGS)
def test_an_edited_standing_is_refused_by_both(forgery: str) -> None:
    members = unpacked(a_pack())
    check_refused(resealed(members | {HEAD: edited(members[HEAD], STANDINGS[forgery])}), "checkpoints")


def test_proofs_that_nothing_asks_for_are_refused() -> None:
    log = Log().begin()
    log.call("s1")
    members = unpacked(pack_of(log))
    for path in (HEAD, PROOFS):
        check_refused(resealed(members | {path: unpacked(a_pack())[path]}), "checkpoints", root=root_of(log))
    twice = unpacked(a_pack())
    twice[PROOFS] += twice[PROOFS].splitlines(keepends=True)[-1]
    check_refused(resealed(twice), "checkpoints")


def written_by(forge: Callable[[SealedCheckpoint], SealedCheckpoint], log: Log) -> bytes:
    """Return the pack of a log whose checkpoint somebody forged before it was written."""
    log.checkpoint(forge=forge)
    return pack_of(log)


def a_short_log() -> Log:
    log = Log().begin()
    log.call("s1")
    log.call("s2")
    return log


def test_a_checkpoint_that_another_key_signed_is_refused() -> None:
    log = a_short_log()
    log.checkpoint(key_of(KeyPurpose.EXECUTION, 2))
    check_refused(pack_of(log), "checkpoints", root=root_of(log))


@pytest.mark.parametrize("name", ["signature", "note_signature"])
def test_a_checkpoint_with_a_signature_of_something_else_is_refused(name: str) -> None:
    log = a_short_log()
    other = latest_of(a_log().entries)
    assert other is not None
    forged = written_by(lambda sealed: sealed.but(**{name: getattr(other, name)}), log)
    check_refused(forged, "checkpoints", root=root_of(log))


@pytest.mark.parametrize(
    "name", ["receipts_root", "records_root", "heads_root", "control_head", "prev_checkpoint_hash"]
)
def test_a_kernel_that_lies_about_its_log_is_found_out(name: str) -> None:
    """It signs what it says; what it says is not what the pack holds."""
    log = a_short_log()
    log.checkpoint()
    log.call("s1")
    pen = log.key(KeyPurpose.EXECUTION)

    def lie(sealed: SealedCheckpoint) -> SealedCheckpoint:
        return seal(sealed.content.but(**{name: "sha256:" + "0" * 64}), pen)

    check_refused(written_by(lie, log), "checkpoints", root=root_of(log))


KINDS = ("call s1", "call s2", "refuse s1", "refuse s2", "checkpoint", "freeze", "intend s1")
STEPS = st.lists(st.sampled_from(KINDS), max_size=14)


def live(steps: list[str]) -> Log:
    log = Log().begin()
    frozen = False
    for step in ("call s1", *steps):
        match step.split():
            case ["checkpoint"]:
                log.checkpoint()
            case ["freeze"]:
                log.freeze("unfreeze" if frozen else "freeze")
                frozen = not frozen
            case ["refuse", session]:
                log.refuse(session)
            case [_, session] if frozen:
                log.refuse(session, "notes.read")
            case ["call", session]:
                log.call(session)
            case ["intend", session]:
                log.intend(session, {"name": "open"})
            case _:
                raise AssertionError(step)
    return log


@settings(max_examples=25)
@given(STEPS)
def test_any_log_with_any_checkpoints_is_verified_by_both(steps: list[str]) -> None:
    log = live(steps)
    raw = pack_of(log)
    assert (refusing_check(raw, root_of(log)), refusing_check_of_script(raw, root_of(log))) == ("", "")


@settings(max_examples=25)
@given(STEPS)
def test_any_two_checkpoints_of_a_log_are_consistent(steps: list[str]) -> None:
    log = live([*steps, "checkpoint"])
    entries = log.entries
    heads = []
    for number, entry in enumerate(entries):
        if entry["node"]["kind"] == "CHECKPOINT":
            said = entry["node"]["payload"]["checkpoint"]
            [root] = read_peaks([said["receipts_root"]])
            heads.append(Head(size=said["receipts_size"], root=root))
            assert trees_of(entries[:number]).receipts.frontier().head() == heads[-1]
    whole = Tree()
    for entry in entries:
        if "receipt" in entry["beside"]:
            whole.append(hash_leaf(leaf_of(entry["beside"]["receipt"], entry["node"]["payload"]["receipt_hash"])))
    for number, old in enumerate(heads):
        for new in heads[number:]:
            verify_consistency(old, new, whole.consistency(old.size, new.size) if old.size else ())


def test_a_log_whose_rows_do_not_come_to_its_checkpoints_makes_no_pack() -> None:
    entries = a_log().entries
    number = next(number for number, entry in enumerate(entries) if "receipt" in entry["beside"])
    del entries[number]["beside"]["receipt"]
    selection = Selection("acme", "s1")
    with pytest.raises(Invalid, match="another log than this"):
        for entry in entries:
            selection.take(entry)


WITNESS = key_of(KeyPurpose.WITNESS)


def witnessed(change: Callable[[dict[str, Any]], object] = lambda said: None) -> Log:
    """Return a log of which a witness cosigned the first checkpoint, as somebody wrote it down."""
    log = Log().begin()
    log.add_key(addition(WITNESS))
    log.call("s1")
    sealed = log.checkpoint()
    said: dict[str, Any] = {
        "checkpoint_hash": sealed.checkpoint_hash,
        "cosigned_at_s": 1_800_000_000,
        "key_id": WITNESS.key_id,
        "name": "witness.example/w1",
        "signature": WITNESS.sign(COSIGNATURE, b"time 1800000000\n" + note_text(sealed.content).encode()),
        "type": "CHECKPOINT_COSIGNED",
    }
    change(said)
    log.attest(said)
    log.call("s1")
    return log


COSIGNATURES: dict[str, Change] = {
    "another time": lambda said: said.update(cosigned_at_s=1_800_000_001),
    "no time": lambda said: said.update(cosigned_at_s=-1),
    "another checkpoint": lambda said: said.update(checkpoint_hash="sha256:" + "0" * 64),
    "another's key": lambda said: said.update(key_id=key_of(KeyPurpose.EXECUTION).key_id),
    "a stranger's key": lambda said: said.update(key_id="key_" + "0" * 32),
    "another signature": lambda said: said.update(signature=said["signature"][:-2] + "00"),
    "a name of two words": lambda said: said.update(name="two words"),
    "a name with a plus": lambda said: said.update(name="a+b"),
    "no name": lambda said: said.update(name=""),
}


def test_a_cosignature_in_a_pack_is_verified_by_both() -> None:
    log = witnessed()
    raw = pack_of(log)
    assert (refusing_check(raw, root_of(log)), refusing_check_of_script(raw, root_of(log))) == ("", "")
    state = Refold(log.log_id)
    for number, entry in enumerate(log.entries, 1):
        state.take(entry, f"entry {number}")
    [[one]] = state.checkpoints.cosignatures.values()
    assert (one.key_id, one.name) == (WITNESS.key_id, "witness.example/w1")


@pytest.mark.parametrize("forgery", COSIGNATURES)
def test_a_forged_cosignature_is_refused_by_both_and_by_the_fold(forgery: str) -> None:
    log = witnessed(COSIGNATURES[forgery])
    check_refused(pack_of(log), "checkpoints", root=root_of(log))
    state = Refold(log.log_id)
    with pytest.raises(Invalid):
        for number, entry in enumerate(log.entries, 1):
            state.take(entry, f"entry {number}")


# --- Whoever holds a checkpoint


def through(log: Log, number: int) -> bytes:
    selection = Selection(TENANT, "s1", through=number)
    for entry in log.entries:
        selection.take(entry)
    material = PackMaterial(selection=selection, script=SCRIPT.read_bytes())
    return build(material, log.key(KeyPurpose.EVIDENCE))


def test_a_checkpoint_that_somebody_kept_is_all_the_trust_that_is_needed() -> None:
    log = Log().begin()
    log.call("s1")
    log.checkpoint()
    log.call("s2")
    kept = log.checkpoint()
    root = TrustRoot(checkpoint=kept.checkpoint_hash)
    assert refusing_check(pack_of(log), root) == refusing_check_of_script(pack_of(log), root) == "checkpoints"
    raw = through(log, 2)
    assert (refusing_check(raw, root), refusing_check_of_script(raw, root)) == ("", "")
    other = Log(number=2).begin()
    other.call("s1")
    other.checkpoint()
    check_refused(pack_of(other), "checkpoints", root=root)


def test_a_session_that_went_on_is_not_passed_off_as_one_that_ended_to_whoever_holds_a_later_checkpoint() -> None:
    """Its last call left out, and the pack made to reach the checkpoint: the head of the session gives it away."""
    log = Log().begin()
    log.call("s1")
    log.checkpoint()
    log.call("s1")
    kept = log.checkpoint()
    check_refused(cut_off(through(log, 2)), "checkpoints", root=TrustRoot(checkpoint=kept.checkpoint_hash))


def test_a_pin_that_is_no_hash_is_refused_before_anything_is_read() -> None:
    with pytest.raises(Invalid, match="a checkpoint's hash is sha256"):
        TrustRoot(checkpoint="ckpt_1")
