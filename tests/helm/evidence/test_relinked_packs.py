"""Packs in which every node hashes and follows, every receipt is signed, and something is still not true.

Whoever makes them holds the evidence key, in most of them the execution key as well. Both verifiers refuse them, by the
same check; and so does the browser (`tests/journeys/test_browser_verifier.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from random import Random
from typing import Any

import attrs
import pytest

from helm.crypto.canonical import record_bytes, reread
from helm.evidence.layout import EVENTS, FACTS, FRONTIER, NODES, RECEIPTS, RECORDS
from helm.evidence.verify import CHECKS
from helm.proofgraph.node import Draft, NodeKind
from tests.helm.evidence.forger import (
    FACT_LINES,
    NODE_LINES,
    RECEIPT_LINES,
    RECORD_LINES,
    Members,
    check_refused,
    flipped,
    pack_of,
    pack_of_scope,
    packed,
    refusing_check,
    refusing_check_of_script,
    resealed,
    root_of,
    unpacked,
)
from tests.helm.evidence.material import TENANT, Log
from tests.helm.evidence.relinked import Story, changed_story
from tests.helm.evidence.test_hostile_packs import mutate

NAMES = ("", *(name for name, _ in CHECKS))


@cache
def a_log() -> Log:
    """Return a log of one session that no checkpoint covers, with one of everything."""
    log = Log().begin()
    log.attest({"opened_at_ms": 1, "type": "SESSION_OPENED"}, "s1", "agent-1")
    log.call("s1")
    log.refuse("s1")
    log.freeze()
    log.refuse("s1")
    log.freeze("unfreeze")
    log.refuse("s1", "notes.send", {"to": "x"})
    log.intend("s1", {"name": "open"})
    log.call("s1", "tuesday")
    return log


def lines(found: list[bytes]) -> bytes:
    return b"".join(line + b"\n" for line in found)


def test_a_pack_that_was_only_told_anew_holds() -> None:
    raw = changed_story(unpacked(pack_of(a_log())), lambda story: None)
    assert refusing_check(raw, root_of(a_log())) == refusing_check_of_script(raw, root_of(a_log())) == ""


# --- The frontier


def without_first(log: Log, node_hash: str) -> Members:
    """Return the files of a pack in which a session's first node is said to be a node outside of the pack."""
    members = unpacked(pack_of(log))
    nodes = [reread(line) for line in members[NODE_LINES].splitlines()]
    hidden = next(node for node in nodes if node["node_hash"] == node_hash)
    members[NODE_LINES] = lines([record_bytes(node) for node in nodes if node is not hidden])
    members[FRONTIER] = record_bytes({"nodes": {node_hash: hidden["lamport"]}})
    return members


def test_a_permission_at_the_beginning_of_a_session_cannot_be_hidden_behind_the_frontier() -> None:
    log = Log().begin()
    _, hidden = log.intend("s1", {"name": "never told of"})
    log.call("s1")
    members = without_first(log, hidden.node_hash)
    for path in (RECORD_LINES, FACT_LINES):
        members[path] = lines(members[path].splitlines()[1:])
    raw = resealed(members, lambda cover: attrs.evolve(cover, open_intents=()))
    check_refused(raw, "nodes", root=root_of(log))


def test_an_event_at_the_beginning_of_a_session_cannot_be_hidden_behind_the_frontier() -> None:
    log = Log().begin()
    hidden = log.attest({"opened_at_ms": 1, "type": "SESSION_OPENED"}, "s1", "agent-1")
    log.call("s1")
    check_refused(resealed(without_first(log, hidden.node_hash)), "nodes", root=root_of(log))


# --- What the verifiers said differently


def of_event(kind: str, change: Callable[[dict[str, Any]], object]) -> bytes:
    """Return the pack after a change to the payload of its first event of a kind."""

    def changing(story: Story) -> None:
        change(next(node["payload"] for node in story.nodes if node["payload"].get("type") == kind))

    return changed_story(unpacked(pack_of(a_log())), changing)


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize(("value", "by"), [(1.5, "nodes"), (nested(62), "nodes"), (nested(61), "control")])
def test_fractions_and_depths_are_refused_where_they_are_read(value: object, by: str) -> None:
    raw = of_event("FREEZE", lambda payload: payload["command"].update(reason=value))
    check_refused(raw, by, root=root_of(a_log()))


def test_odd_limits_of_a_run_are_refused_with_the_receipt_that_states_them() -> None:
    def odd(story: Story) -> None:
        story.receipts[0]["sandbox_limits"] = [1]

    check_refused(changed_story(unpacked(pack_of(a_log())), odd), "receipts", root=root_of(a_log()))


def test_a_pack_of_no_node_is_refused() -> None:
    empty = {path: b for path, b in unpacked(pack_of_scope(a_log(), "whole")).items() if not path.startswith(FOLDERS)}
    raw = resealed(
        empty | {FRONTIER: b'{"nodes":{}}'},
        lambda cover: attrs.evolve(cover, lamport=0, open_intents=(), sessions=()),
    )
    check_refused(raw, "nodes", root=root_of(a_log()))


FOLDERS = (NODES, RECORDS, FACTS, RECEIPTS, EVENTS)


def test_a_trust_event_of_no_node_is_refused() -> None:
    members = unpacked(pack_of(a_log()))
    members[EVENTS] += members[EVENTS].splitlines(keepends=True)[-1]
    check_refused(resealed(members), "nodes", root=root_of(a_log()))


def test_a_receipt_that_two_nodes_bind_is_no_chain() -> None:
    log = Log().begin()
    log.refuse("s1")
    entry = log.entries[-1]
    draft = Draft(NodeKind.ATTESTATION.value, record_bytes(entry["node"]["payload"]), TENANT, "s1", "agent-1")
    log.write(draft, entry["beside"])
    check_refused(pack_of(log), "chain", root=root_of(log))


def test_a_node_at_the_clock_of_the_one_before_it_is_refused() -> None:
    def doubled(story: Story) -> None:
        story.nodes[-2]["lamport"] = story.nodes[-3]["lamport"]

    check_refused(changed_story(unpacked(pack_of(a_log())), doubled), "nodes", root=root_of(a_log()))


def test_a_node_that_stands_on_a_call_that_is_over_and_does_not_say_so_is_refused() -> None:
    def relying(story: Story) -> None:
        intent = next(node for node in story.nodes if node["kind"] == "INTENT")
        story.nodes[-1]["parents"].append(intent["node_hash"])

    check_refused(changed_story(unpacked(pack_of(a_log())), relying), "nodes", root=root_of(a_log()))


# --- Two faults at once: the first check that does not hold is the one that is named


def test_a_fault_of_the_first_call_does_not_hide_a_manifest_that_nobody_signed() -> None:
    members = unpacked(pack_of(a_log()))
    first, second, *others = members[FACT_LINES].splitlines()
    members[FACT_LINES] = lines([second, first, *others])
    check_refused(resealed(members), "seals", root=root_of(a_log()))
    check_refused(resealed(members, number=2), "signature", root=root_of(a_log()))


def test_a_shard_that_was_changed_is_not_hidden_by_a_node_that_is_missing() -> None:
    members = unpacked(pack_of(a_log()))
    members[NODE_LINES] = lines(members[NODE_LINES].splitlines()[:-1])
    raw = resealed(members)
    check_refused(raw, "nodes", root=root_of(a_log()))
    changed = unpacked(raw)
    changed[RECEIPT_LINES] = flipped(changed[RECEIPT_LINES])
    check_refused(packed(changed), "manifest", root=root_of(a_log()))


# --- Anything else


def disturbed(chance: Random) -> Callable[[Story], None]:
    """Return a change to a story that is made by chance."""

    def disturb(story: Story) -> None:
        at, kind = chance.randrange(len(story.nodes)), chance.random()
        if kind < 0.05:
            del story.nodes[at]
        elif kind < 0.1:
            story.nodes.insert(at, json.loads(json.dumps(story.nodes[at])))
        elif kind < 0.15:
            story.nodes.insert(chance.randrange(len(story.nodes)), story.nodes.pop(at))
        elif kind < 0.3:
            at = chance.randrange(len(story.receipts))
            story.receipts[at] = mutate(story.receipts[at], chance)
        elif kind < 0.4:
            story.nodes[at] = mutate(story.nodes[at], chance)
        else:
            story.nodes[at]["payload"] = mutate(story.nodes[at]["payload"], chance)

    return disturb


def forged(members: Members, chance: Random) -> bytes:
    """Return a pack that tells something else, in true hashes and under true signatures."""
    while True:
        try:
            return changed_story(members, disturbed(chance))
        except (AttributeError, KeyError, TypeError):
            pass  # what has no canonical bytes, or no place for a hash, nobody can forge so


@pytest.mark.parametrize("seed", range(4))
def test_whatever_is_told_anew_both_verifiers_say_the_same_of_it(seed: int) -> None:
    chance = Random(seed)
    for kind in ("session", "whole"):
        members = unpacked(pack_of(a_log()) if kind == "session" else pack_of_scope(a_log(), kind))
        for _ in range(12):
            check_refused(forged(members, chance), *NAMES, root=root_of(a_log()))
