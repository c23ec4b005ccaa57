"""Whatever somebody does to a pack, HELM and the replay script refuse it, by the same check.

The outsider has the pack and no key. The insider also has the evidence key, and so writes a true manifest over
what is not true: the checks behind the signature are for him. Nobody here has the execution key.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any, Final

import attrs
import pytest

from helm.contracts.decision import DECISION
from helm.contracts.errors import Invalid
from helm.contracts.receipt import RECEIPT
from helm.contracts.record import RECORD
from helm.contracts.sandbox import SandboxRun
from helm.crypto import domains
from helm.crypto.canonical import record_bytes, reread
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SigningKey
from helm.crypto.seals import seal_decision, seal_record
from helm.evidence import archive
from helm.evidence.layout import FACTS, FRONTIER, HEAD, MANIFEST, NODES, RECEIPTS, RECORDS, SNAPSHOT, shard_path
from helm.evidence.lines import write_lines
from helm.evidence.manifest import Cover
from helm.evidence.trust_root import TrustRoot
from helm.receipts.chain import name
from tests.helm.evidence.forger import (
    FACT_LINES,
    NODE_LINES,
    RECEIPT_LINES,
    RECORD_LINES,
    Members,
    a_log,
    a_pack,
    check_refused,
    edited,
    flipped,
    lines_of,
    pack_of,
    packed,
    resealed,
    root_of,
    unpacked,
)
from tests.helm.evidence.material import Log, key_of, policy_of

PATHS: Final = sorted(unpacked(a_pack()))
LISTED: Final = [path for path in PATHS if path != MANIFEST]

FLIPPED_BY: Final = {
    "checkpoints": "checkpoints",
    "facts": "seals",
    "inclusion": "inclusion",
    "policy": "policies",
    "proofgraph": "nodes",
    "receipts": "receipts",
    "records": "nodes",
    "replay": "versions",
    "schemas": "versions",
    "trust": "nodes",
}
"""The check that refuses an insider's flipped bit, by folder."""

DROPPED_BY: Final = FLIPPED_BY | {"policy": "complete"}
"""The check that refuses an insider's missing file."""


def folder_of(path: str) -> str:
    return path.partition("/")[0]


def own(prefix: str) -> list[str]:
    """Return the files of the pack whose paths begin so."""
    return [path for path in PATHS if path.startswith(prefix)]


# --- The outsider


@pytest.mark.parametrize("path", PATHS)
def test_a_flipped_bit_is_refused(path: str) -> None:
    members = unpacked(a_pack())
    members[path] = flipped(members[path])
    check_refused(packed(members), "manifest")


@pytest.mark.parametrize("path", PATHS)
def test_a_dropped_file_is_refused(path: str) -> None:
    members = unpacked(a_pack())
    del members[path]
    check_refused(packed(members), "manifest")


@pytest.mark.parametrize("path", PATHS)
def test_a_doubled_file_is_refused(path: str) -> None:
    raw, content = a_pack(), unpacked(a_pack())[path]
    at = raw.index(archive.header(path, len(content)))
    end = at + 512 + len(content) + -len(content) % 512
    check_refused(raw[:end] + raw[at:end] + raw[end:], "archive")


@pytest.mark.parametrize("path", PATHS[1:])
def test_a_file_moved_to_the_front_is_refused(path: str) -> None:
    raw, content = a_pack(), unpacked(a_pack())[path]
    at = raw.index(archive.header(path, len(content)))
    end = at + 512 + len(content) + -len(content) % 512
    check_refused(raw[at:end] + raw[:at] + raw[end:], "archive")


@pytest.mark.parametrize("path", sorted(set(PATHS) & set(unpacked(a_pack("s2")))))
def test_a_file_of_another_session_is_refused(path: str) -> None:
    members, others = unpacked(a_pack()), unpacked(a_pack("s2"))
    if members[path] == others[path]:
        assert folder_of(path) in ("policy", "replay", "schemas", "trust", "proofgraph")
        return
    check_refused(packed(members | {path: others[path]}), "manifest")


def test_an_added_file_is_refused() -> None:
    check_refused(packed(unpacked(a_pack()) | {"receipts/evil.json": b"{}"}), "manifest")


def test_a_renamed_file_is_refused() -> None:
    members = unpacked(a_pack())
    members["receipts/a.jsonl"] = members.pop(RECEIPT_LINES)
    check_refused(packed(members), "manifest")


def test_a_manifest_signed_by_a_strangers_evidence_key_is_refused() -> None:
    check_refused(resealed(unpacked(a_pack()), number=2), "signature")


def test_a_manifest_signed_by_a_key_for_something_else_is_refused() -> None:
    members = unpacked(a_pack())
    body = reread(members[MANIFEST])
    execution = a_log().key(KeyPurpose.EXECUTION)
    body["key_id"] = execution.key_id
    check_refused(packed(members | {MANIFEST: record_bytes(body)}), "manifest")
    check_refused(resealed(members, lambda cover: attrs.evolve(cover, key_id=execution.key_id)), "signature")


@pytest.mark.parametrize("member", ["signature", "manifest_hash", "key_id", "lamport", "log_id", "version", "scope"])
def test_an_edited_manifest_is_refused(member: str) -> None:
    members = unpacked(a_pack())

    def change(body: dict[str, Any]) -> None:
        body[member] = body[member] + 1 if member == "lamport" else changed_value(body[member])

    members[MANIFEST] = edited(members[MANIFEST], change)
    check_refused(packed(members), "signature" if member == "signature" else "manifest")


def test_a_pack_of_another_log_is_refused() -> None:
    stranger = Log(number=2).begin()
    stranger.call("s1")
    check_refused(pack_of(stranger), "genesis")


# --- The insider, who has the evidence key


@pytest.mark.parametrize("path", LISTED)
def test_an_insiders_flipped_bit_is_refused(path: str) -> None:
    members = unpacked(a_pack())
    members[path] = flipped(members[path])
    by = "trust" if path == SNAPSHOT else FLIPPED_BY[folder_of(path)]
    check_refused(resealed(members), by)


@pytest.mark.parametrize("path", LISTED)
def test_an_insiders_dropped_file_is_refused(path: str) -> None:
    members = unpacked(a_pack())
    del members[path]
    check_refused(resealed(members), "trust" if path == SNAPSHOT else DROPPED_BY[folder_of(path)])


@pytest.mark.parametrize(
    "path",
    [
        "facts/a.json",
        "policy/" + "0" * 64 + ".json",
        "proofgraph/nodes.jsonl",
        "receipts/000002.jsonl",
        "records/1.jsonl",
        "trust/000000000001.json",
        "evil.json",
    ],
)
def test_an_insiders_spare_file_is_refused(path: str) -> None:
    check_refused(resealed(unpacked(a_pack()) | {path: b"{}"}), "complete")


@pytest.mark.parametrize("path", ["evil.sh", "replay/evil.py", "evil", "schemas/evil.json", "receipts/evil.json"])
def test_an_insiders_program_or_odd_file_is_refused(path: str) -> None:
    members = unpacked(a_pack()) | {path: b"{}"}
    if path in ("evil.sh", "evil"):
        check_refused(packed(members), "manifest")
    else:
        check_refused(resealed(members), "complete", "versions")


@pytest.mark.parametrize(
    ("path", "by"),
    [(FACT_LINES, "seals"), (RECORD_LINES, "nodes"), (RECEIPT_LINES, "receipts"), (NODE_LINES, "nodes"),
     (HEAD, "inclusion"), (FRONTIER, "nodes")],
)  # fmt: skip
def test_an_insiders_file_from_another_session_is_refused(path: str, by: str) -> None:
    members, others = unpacked(a_pack()), unpacked(a_pack("s2"))
    if path == FRONTIER:
        others[path] = edited(others[path], lambda body: body["nodes"].update({"sha256:" + "0" * 64: 3}))
    check_refused(resealed(members | {path: others[path]}), by)


@pytest.mark.parametrize(("path", "by"), [(FACT_LINES, "seals"), (RECORD_LINES, "nodes"), (RECEIPT_LINES, "receipts")])
def test_lines_of_two_calls_that_change_places_are_refused(path: str, by: str) -> None:
    members = unpacked(a_pack())
    one, two, *rest = members[path].splitlines(keepends=True)
    members[path] = b"".join((two, one, *rest))
    check_refused(resealed(members), by)


@pytest.mark.parametrize(("path", "by"), [(FACT_LINES, "seals"), (RECORD_LINES, "nodes"), (RECEIPT_LINES, "receipts")])
@pytest.mark.parametrize("number", range(4))
def test_a_line_of_a_call_that_is_left_out_doubled_or_emptied_is_refused(path: str, by: str, number: int) -> None:
    members = unpacked(a_pack())
    lines = members[path].splitlines(keepends=True)
    line = lines[number]
    for changed in (lines[:number] + lines[number + 1 :], [*lines[:number], line, *lines[number:]], [*lines, line]):
        check_refused(resealed(members | {path: b"".join(changed)}), by)
    emptied = b"".join([*lines[:number], b"\n", *lines[number + 1 :]])
    check_refused(resealed(members | {path: emptied}), "complete" if path == FACT_LINES else by)


@pytest.mark.parametrize("folder", [FACTS, NODES, RECEIPTS, RECORDS])
def test_a_shard_that_is_cut_elsewhere_is_refused(folder: str) -> None:
    members = unpacked(a_pack())
    first, second = shard_path(folder, 0), shard_path(folder, 1)
    by = FLIPPED_BY[folder.partition("/")[0]]
    lines = members[first].splitlines(keepends=True)
    check_refused(resealed(members | {first: b"".join(lines[:-1]), second: lines[-1]}), by)
    check_refused(resealed(members | {first: members[first][:-1]}), by)
    check_refused(resealed(members | {second: lines[-1]}), by)
    check_refused(resealed(members | {second: b""}), by)
    check_refused(resealed(members | {first: b"".join(lines * 1024)}), by)


@pytest.mark.parametrize("number", range(len(unpacked(a_pack())[NODE_LINES].splitlines())))
def test_a_left_out_node_is_refused(number: int) -> None:
    members = unpacked(a_pack())
    lines = members[NODE_LINES].splitlines(keepends=True)
    del lines[number]
    members[NODE_LINES] = b"".join(lines)
    check_refused(resealed(members), "nodes", "receipts")  # its last outcome: then its receipt is spare


def test_nodes_in_another_order_are_refused() -> None:
    members = unpacked(a_pack())
    lines = members[NODE_LINES].splitlines(keepends=True)
    members[NODE_LINES] = b"".join((*lines[:-2], lines[-1], lines[-2]))
    check_refused(resealed(members), "nodes")


def test_a_node_that_stands_twice_is_refused() -> None:
    members = unpacked(a_pack())
    members[NODE_LINES] += members[NODE_LINES].splitlines(keepends=True)[-1]
    check_refused(resealed(members), "nodes")


@pytest.mark.parametrize("member", ["kind", "lamport", "node_hash", "parents", "principal", "session_id", "shard"])
def test_an_edited_node_is_refused(member: str) -> None:
    members = unpacked(a_pack())
    lines = members[NODE_LINES].splitlines(keepends=True)

    def change(body: dict[str, Any]) -> None:
        change_of: dict[type, Callable[[Any], Any]] = {
            int: lambda n: n + 1,
            list: lambda ps: ps[1:],
            str: lambda t: t + "x",
        }
        body[member] = change_of[type(body[member])](body[member])

    lines[-1] = edited(lines[-1], change) + b"\n"
    members[NODE_LINES] = b"".join(lines)
    check_refused(resealed(members), "nodes")


@pytest.mark.parametrize("value", [0, 10**6, -1, True, 1.5, "1", None])
def test_an_invented_frontier_is_refused(value: object) -> None:
    members = unpacked(a_pack())
    members[FRONTIER] = record_bytes({"nodes": {"sha256:" + "0" * 64: value}})
    check_refused(resealed(members), "nodes")


def test_an_open_intent_that_is_not_listed_is_refused() -> None:
    check_refused(resealed(unpacked(a_pack()), lambda cover: attrs.evolve(cover, open_intents=())), "complete")


def test_an_invented_open_intent_is_refused() -> None:
    def invent(cover: Cover) -> Cover:
        return attrs.evolve(cover, open_intents=(*cover.open_intents, "sha256:" + "f" * 64))

    check_refused(resealed(unpacked(a_pack()), invent), "complete")


def test_facts_that_are_said_to_be_redacted_and_are_there_are_refused() -> None:
    check_refused(resealed(unpacked(a_pack()), lambda cover: attrs.evolve(cover, redacted=1)), "complete")


@pytest.mark.parametrize(
    ("member", "value", "by"),
    [("lamport", 3, "nodes"), ("lamport", 10**9, "nodes"), ("log_id", "sha256:" + "0" * 64, "genesis"),
     ("sessions", (("acme", "s2"),), "nodes"), ("sessions", (("evil", "s1"),), "nodes"), ("shard", "1", "nodes"),
     ("sessions", (), "manifest"), ("sessions", (("acme", "s1"), ("acme", "s2")), "manifest"),
     ("sessions", (("", ""),), "manifest"), ("scope", "whole", "nodes"), ("scope", "range", "manifest"),
     ("scope", "all", "manifest"), ("from_ms", 1, "manifest"), ("until_ms", 1, "manifest"),
     ("version", "helm.pack/1", "versions"), ("version", "helm.pack/3", "versions")],
)  # fmt: skip
def test_an_insiders_false_cover_is_refused(member: str, value: Any, by: str) -> None:
    change: dict[str, Any] = {member: value}
    check_refused(resealed(unpacked(a_pack()), lambda cover: attrs.evolve(cover, **change)), by)


# --- Receipts, field by field


def first_receipt() -> dict[str, Any]:
    """Return the first receipt of the pack."""
    body: dict[str, Any] = lines_of(unpacked(a_pack())[RECEIPT_LINES])[0]
    return body


def with_first(body: dict[str, Any]) -> Members:
    """Return the files with another first receipt."""
    members = unpacked(a_pack())
    _, *others = members[RECEIPT_LINES].splitlines()
    return members | {RECEIPT_LINES: write_lines([record_bytes(dict(sorted(body.items()))), *others])}


def renamed(body: dict[str, Any]) -> Members:
    """Return the files with a first receipt that bears its true name."""
    unsigned = {member: value for member, value in body.items() if member not in ("receipt_id", "signature")}
    return with_first(body | {"receipt_id": name(unsigned)})


def changed_value(value: object) -> object:
    """Return another value of the same type."""
    return value + 1 if type(value) is int else f"{value}x"


@pytest.mark.parametrize("field", RECEIPT.names)
def test_a_receipt_with_one_field_changed_is_refused(field: str) -> None:
    body = first_receipt()
    body[field] = changed_value(body[field])
    check_refused(resealed(renamed(body)), "receipts")


@pytest.mark.parametrize("field", ["receipt_id", "signature"])
def test_a_receipt_under_another_name_or_signature_is_refused(field: str) -> None:
    body = first_receipt()
    body[field] = "0" + body[field][1:]
    check_refused(resealed(with_first(body)), "receipts")


def signed_by(body: dict[str, Any], signer: SigningKey) -> dict[str, Any]:
    """Return the receipt under another key's signature."""
    unsigned = {member: value for member, value in body.items() if member not in ("receipt_id", "signature")}
    unsigned["key_id"] = signer.key_id
    unsigned["receipt_id"] = name(unsigned)
    return unsigned | {"signature": signer.sign(domains.RECEIPT, record_bytes(unsigned))}


def test_a_receipt_signed_again_by_another_execution_key_is_refused() -> None:
    check_refused(resealed(renamed(signed_by(first_receipt(), key_of(KeyPurpose.EXECUTION, 2)))), "receipts")


def test_a_receipt_of_another_log_is_refused() -> None:
    stranger = Log(number=2).begin()
    stranger.call("s1")
    check_refused(resealed(with_first(lines_of(unpacked(pack_of(stranger))[RECEIPT_LINES])[0])), "receipts")


# --- A whole log forged: every node, hash and link true, but for one thing


def check_forged(log: Log, *checks: str, root: TrustRoot | None = None) -> None:
    """Assert that the pack of a forged log is refused."""
    check_refused(pack_of(log), *checks, root=root or root_of(log))


def test_receipts_of_a_key_that_no_event_ever_added_are_refused() -> None:
    log = Log().begin()
    log.pen = key_of(KeyPurpose.EXECUTION, 9)
    log.call("s1")
    check_forged(log, "receipts")


def test_receipts_of_a_rotated_key_are_refused_after_its_rotation_only() -> None:
    log = Log().begin()
    stolen = log.pen
    log.call("s1")
    log.rotate(KeyPurpose.EXECUTION, 2)
    log.call("s1")
    assert pack_of(log)
    log.pen = stolen
    log.call("s1")
    check_forged(log, "receipts")


def test_a_fork_of_the_chain_is_refused() -> None:
    log = Log().begin()
    log.call("s1")
    before = dict(log.chains.links)
    log.call("s1")
    log.chains.links = before
    log.call("s1")
    check_forged(log, "chain")


def test_a_chain_that_begins_in_the_middle_is_refused() -> None:
    log = Log().begin()
    log.call("s1")
    del log.rows[-2:]
    log.graph.heads.clear()
    log.graph.lamport -= 2
    log.call("s1")
    check_forged(log, "chain")


def test_a_second_outcome_of_one_intent_is_refused() -> None:
    log = Log().begin()
    judgement, intent = log.intend("s1", {"name": "x"})
    log.end(judgement, intent)
    log.end(judgement, intent)
    check_forged(log, "stories")


def test_an_outcome_of_a_call_of_another_session_is_refused() -> None:
    log = Log().begin()
    judgement, intent = log.intend("s2", {"name": "x"})
    log.call("s1")
    log.end(judgement, intent, written_into="s1")
    check_forged(log, "chain", "stories")


def test_a_decision_told_twice_is_refused() -> None:
    log = Log().begin()
    judgement, intent = log.intend("s1", {"name": "x"})
    log.end(judgement, intent)
    log.end(judgement, log.write_intent(judgement))
    check_forged(log, "stories")


def test_a_second_kernel_of_the_same_epoch_is_refused() -> None:
    log = Log().begin()
    log.epoch -= 1
    log.start()
    log.call("s1")
    check_forged(log, "control")


def test_a_decision_of_a_kernel_that_was_fenced_out_is_refused() -> None:
    log = Log().begin()
    log.start()
    log.epoch -= 1
    log.call("s1")
    check_forged(log, "stories")


def test_a_policy_that_no_policy_key_signed_is_refused() -> None:
    log = Log().begin()
    log.activate(policy_of(2), key_of(KeyPurpose.POLICY, 2))
    log.call("s1")
    check_forged(log, "policies")


def test_an_older_policy_after_a_newer_one_is_refused() -> None:
    log = Log().begin()
    log.activate(policy_of(3))
    log.activate(policy_of(2))
    log.call("s1")
    check_forged(log, "policies")


def test_a_freeze_played_again_is_refused() -> None:
    log = Log().begin()
    log.freeze()
    log.freeze("unfreeze")
    log.memory.freezes.sequence -= 1
    log.memory.freezes.in_force.add(("global", ""))
    log.freeze("unfreeze")
    log.call("s1")
    check_forged(log, "control")


def test_an_event_of_unknown_type_is_refused() -> None:
    log = Log().begin()
    log.attest({"type": "BACKDOOR_OPENED"})
    log.call("s1")
    check_forged(log, "control")


@pytest.mark.parametrize("more", [{"evil": 1}, {"evil": None}, {"opened_at_ms": "now"}])
def test_an_event_that_says_something_else_than_its_type_is_refused(more: dict[str, object]) -> None:
    log = Log().begin()
    log.attest({"opened_at_ms": 1, "type": "SESSION_OPENED", **more}, "s1", "agent-1")
    log.call("s1")
    check_forged(log, "control")


def test_a_fraction_is_refused_wherever_it_stands() -> None:
    log = Log().begin()
    log.attest({"opened_at_ms": 1.5, "type": "SESSION_OPENED"}, "s1", "agent-1")
    log.call("s1")
    check_refused(pack_of(log), "nodes", root=root_of(log))


# --- Pins


def test_each_pin_is_enough_and_each_pin_is_held() -> None:
    log = a_log()
    right = {
        "log_id": log.log_id,
        "genesis_key": log.key(KeyPurpose.TRUST_ADMIN).public_key,
        "execution_key": log.key(KeyPurpose.EXECUTION).public_key,
    }
    wrong = {
        "log_id": "sha256:" + "0" * 64,
        "genesis_key": key_of(KeyPurpose.TRUST_ADMIN, 2).public_key,
        "execution_key": key_of(KeyPurpose.EXECUTION, 2).public_key,
    }
    refused_by = {"log_id": "genesis", "genesis_key": "genesis", "execution_key": "receipts"}
    for pin, value in right.items():
        check_refused(a_pack(), "", root=TrustRoot(**{pin: value}))
    for pin, value in wrong.items():
        check_refused(a_pack(), refused_by[pin], root=TrustRoot(**{**right, pin: value}))


def test_an_execution_key_vouches_for_nothing_where_it_signed_nothing() -> None:
    log = Log().begin()
    log.intend("s1", {"name": "x"})
    check_refused(pack_of(log), "receipts", root=TrustRoot(execution_key=log.key(KeyPurpose.EXECUTION).public_key))


def test_no_pin_is_no_verification() -> None:
    with pytest.raises(Invalid, match="a pack cannot vouch for itself"):
        TrustRoot()
    for pin in ({"log_id": "sha256:1"}, {"genesis_key": "00" * 32}, {"execution_key": "A" * 64}):
        with pytest.raises(Invalid):
            TrustRoot(**pin)


# --- Decisions and records, field by field: sealed anew under true names, and not what the receipt seals


UNSAYABLE: Final = {"verdict", "reason_code"}
"""An ALLOW with another verdict or a reason cannot even be built."""


SAID_OF_NONE: Final = {"velocity": (("r", 1, 0, "t p", 1, "", 0),)}
"""What could stand where the decision says nothing, and a text could not."""


def other_value(value: object) -> Any:
    """Return another value of the same type."""
    if type(value) is tuple:
        return (*value, *value[:1]) or ("x",)
    return not value if type(value) is bool else changed_value(value)


def forged(field: str) -> Log:
    """Return a log whose one call was written with another decision than its receipt seals."""
    log = Log().begin()
    judgement = log.judge("s1", "notes.read", {"name": "x"})
    decided, recorded = judgement.decision.content, judgement.record.content
    change: dict[str, Any] = {field: SAID_OF_NONE.get(field) or other_value(getattr(decided, field))}
    decision = seal_decision(decided.but(**change))
    same: dict[str, Any] = {"decision_id": decision.id}
    if field in RECORD.names:
        same[field] = change[field]
    record = seal_record(recorded.but(**same))
    log.end(judgement, log.write_intent(judgement.but(decision=decision, record=record)))
    return log


@pytest.mark.parametrize("field", sorted(set(DECISION.names) - UNSAYABLE))
def test_a_decision_that_is_not_the_receipts_is_refused(field: str) -> None:
    log = forged(field)
    by = "seals" if field in ("facts_hash", "effect_id") else "stories"
    by = "nodes" if field in ("session_id", "tenant") else by  # the effect begins a session, over what is outside of it
    check_refused(pack_of(log), by, root=root_of(log))


@pytest.mark.parametrize("field", sorted(set(RECORD.names) - UNSAYABLE))
def test_a_record_that_is_not_the_receipts_is_refused(field: str) -> None:
    log = Log().begin()
    judgement = log.judge("s1", "notes.read", {"name": "x"})
    recorded = judgement.record.content
    change: dict[str, Any] = {field: other_value(getattr(recorded, field))}
    record = seal_record(recorded.but(**change))
    log.end(judgement, log.write_intent(judgement.but(record=record)))
    check_refused(pack_of(log), "stories", root=root_of(log))


# --- The evidence of a run in the sandbox


RAN: Final = SandboxRun(
    fuel_used=28, lease_id="lease_1", limits=(("fuel", 100), ("wall_ms", 5000)), module_hash="sha256:m", trap=""
)


def with_run(run: SandboxRun) -> Log:
    """Return a log in which one call left this evidence."""
    log = Log(run=run).begin()
    log.call("s1")
    return log


def test_the_evidence_of_a_run_is_verified_by_both() -> None:
    check_refused(pack_of(with_run(RAN)), "", root=root_of(with_run(RAN)))


@pytest.mark.parametrize(
    "run",
    [
        RAN.but(lease_id=""),
        RAN.but(module_hash=""),
        RAN.but(limits=()),
        RAN.but(limits=RAN.limits[::-1]),
        RAN.but(limits=(("fuel", 1), ("fuel", 2))),
        RAN.but(limits=(("fuel", -1),)),
        RAN.but(trap="unreachable"),
        SandboxRun(fuel_used=0, lease_id="", limits=(), module_hash="", trap="unreachable"),
    ],
)
def test_evidence_of_half_a_run_is_refused_by_both_though_it_was_signed(run: SandboxRun) -> None:
    check_refused(pack_of(with_run(run)), "stories", root=root_of(with_run(run)))


# --- Any bit of the file


@pytest.mark.parametrize("seed", range(8))
def test_any_flipped_bit_of_the_file_is_refused(seed: int) -> None:
    raw, chance = a_pack(), Random(seed)
    for _ in range(25):
        at, bit = chance.randrange(len(raw)), 1 << chance.randrange(8)
        check_refused(raw[:at] + bytes([raw[at] ^ bit]) + raw[at + 1 :], "archive", "manifest", "signature")


@pytest.mark.parametrize("kept", [0, 1, 511, 512, 10_000, -1024, -513, -1])
def test_a_truncated_file_is_refused(kept: int) -> None:
    check_refused(a_pack()[:kept], "archive")
