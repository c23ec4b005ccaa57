"""A pack is about one session, a range of time, or the whole log: and it is what it says, to both verifiers."""

from __future__ import annotations

from functools import cache
from typing import Any

import attrs
import pytest

from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.evidence.at_once import read_receipt
from helm.evidence.checkpoint_proofs import HEAD
from helm.evidence.condense import condense
from helm.evidence.layout import FRONTIER
from helm.evidence.layout import HEAD as ROOT
from helm.evidence.replay import replay_pack
from helm.evidence.scope import Scope
from helm.evidence.verify import check_pack, verify_pack
from tests.helm.evidence.forger import (
    FACT_LINES,
    NODE_LINES,
    RECEIPT_LINES,
    RECORD_LINES,
    check_refused,
    edited,
    inclusion,
    lines_of,
    pack_of,
    pack_of_scope,
    refusing_check,
    refusing_check_of_script,
    resealed,
    root_of,
    unpacked,
)
from tests.helm.evidence.material import Log


@cache
def week() -> Log:
    """Return a log of three sessions at three times, with a checkpoint between, and one behind."""
    log = Log().begin()
    log.call("s1")
    log.now_ms += 1_000_000
    log.call("s2", "tuesday")
    log.refuse("s1")
    log.checkpoint()
    log.now_ms += 1_000_000
    log.call("s3")
    log.freeze()
    log.refuse("s2")
    log.freeze("unfreeze")
    log.checkpoint()
    return log


def time_of(number: int) -> int:
    """Return when the call of this number was decided."""
    decisions = [entry["node"]["payload"].get("decision") for entry in week().entries]
    return int([decision["decided_at_ms"] for decision in decisions if decision is not None][number])


def check_accepted(raw: bytes, log: Log) -> None:
    assert (refusing_check(raw, root_of(log)), refusing_check_of_script(raw, root_of(log))) == ("", "")


def test_the_whole_log_is_one_pack() -> None:
    raw = pack_of_scope(week(), "whole")
    check_accepted(raw, week())
    subject = verify_pack(raw, root_of(week())).subject
    assert (subject.scope, subject.sessions, subject.receipts, subject.session_id) == ("whole", 3, 5, "")
    members = unpacked(raw)
    assert len(lines_of(members[NODE_LINES])) == len(week().entries)
    assert members[FRONTIER] == b'{"nodes":{}}'
    assert raw == pack_of_scope(week(), "whole")


def test_every_call_of_the_whole_log_is_judged_again() -> None:
    assert replay_pack(check_pack(pack_of_scope(week(), "whole"), root_of(week()))).judged == 5


def test_a_log_without_a_session_is_a_pack_too() -> None:
    log = Log().begin()
    check_accepted(pack_of_scope(log, "whole"), log)


@pytest.mark.parametrize(
    ("first", "last", "sessions"),
    [(0, 0, ["s1"]), (1, 1, ["s2"]), (1, 2, ["s1", "s2"]), (3, 3, ["s3"]), (0, 4, ["s1", "s2", "s3"])],
)
def test_a_range_holds_every_session_that_had_a_call_in_it(first: int, last: int, sessions: list[str]) -> None:
    raw = pack_of_scope(week(), "range", time_of(first), time_of(last) + 1)
    check_accepted(raw, week())
    nodes = lines_of(unpacked(raw)[NODE_LINES])
    assert sorted({node["session_id"] for node in nodes} - {""}) == sessions
    of_sessions = [node for node in nodes if node["session_id"]]
    assert len(of_sessions) == sum(entry["node"]["session_id"] in sessions for entry in week().entries)


def test_a_range_without_a_call_has_no_pack() -> None:
    with pytest.raises(Invalid, match="nothing is known of it"):
        pack_of_scope(week(), "range", 1, 2)


@pytest.mark.parametrize(
    "range_", [("range", 5, 5), ("range", -1, 5), ("range", 6, 5), ("whole", 0, 1), ("week", 0, 0)]
)
def test_a_scope_that_is_none_is_refused(range_: tuple[str, int, int]) -> None:
    with pytest.raises(Invalid, match="is no scope"):
        Scope(*range_)


def test_only_the_pack_of_one_session_is_condensed() -> None:
    reading = check_pack(pack_of_scope(week(), "whole"), root_of(week()))
    with pytest.raises(Invalid, match="is about 3 sessions"):
        condense(reading, week().key(KeyPurpose.EVIDENCE))


# --- The insider, who has the evidence key


def claimed(raw: bytes, **changes: Any) -> bytes:
    """Return a pack that says something else of itself, under a true manifest."""
    return resealed(unpacked(raw), lambda cover: attrs.evolve(cover, **changes))


def test_a_part_is_not_passed_off_as_the_whole() -> None:
    check_refused(claimed(pack_of(week()), scope="whole"), "nodes", root=root_of(week()))


def test_a_session_is_not_left_out_of_the_whole() -> None:
    raw = pack_of_scope(week(), "range", time_of(0), time_of(2) + 1)
    check_refused(claimed(raw, scope="whole", from_ms=0, until_ms=0), "nodes", root=root_of(week()))


def test_a_session_is_not_put_into_a_range_in_which_it_had_no_call() -> None:
    raw = pack_of_scope(week(), "range", time_of(0), time_of(4) + 1)
    check_refused(claimed(raw, until_ms=time_of(2) + 1), "complete", root=root_of(week()))


def test_a_session_is_not_named_that_is_not_there_nor_there_and_not_named() -> None:
    raw, root = pack_of_scope(week(), "range", time_of(1), time_of(2) + 1), root_of(week())
    both = (("acme", "s1"), ("acme", "s2"))
    check_refused(claimed(raw, sessions=both[:1]), "nodes", root=root)
    check_refused(claimed(raw, sessions=(*both, ("acme", "s3"))), "nodes", root=root)
    check_refused(claimed(raw, sessions=both[::-1]), "manifest", root=root)
    check_refused(claimed(raw, sessions=(both[0], *both)), "manifest", root=root)


def test_two_sessions_do_not_stand_in_each_others_place() -> None:
    members = unpacked(pack_of_scope(week(), "whole"))
    members[HEAD] = edited(members[HEAD], lambda said: said["standing"].reverse())
    check_refused(resealed(members), "checkpoints", root=root_of(week()))


def test_one_of_several_sessions_is_not_cut_off_before_a_checkpoint() -> None:
    raw = pack_of_scope(week(), "range", time_of(0), time_of(4) + 1)
    members = unpacked(raw)
    lines = members[NODE_LINES].splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if b'"session_id":"s2"' in line)
    members[NODE_LINES] = b"".join(lines[:last] + lines[last + 1 :])
    for path in (RECEIPT_LINES, RECORD_LINES, FACT_LINES):
        of_s2 = [line for line in members[path].splitlines(keepends=True) if is_of(line, "s2")]
        members[path] = members[path].replace(of_s2[-1], b"")
    left = [read_receipt(line) for line in members[RECEIPT_LINES].splitlines()]
    members[ROOT] = inclusion([sealed for sealed in left if sealed is not None])
    check_refused(resealed(members), "checkpoints", root=root_of(week()))


def is_of(line: bytes, session_id: str) -> bool:
    return f'"session_id":"{session_id}"'.encode() in line
