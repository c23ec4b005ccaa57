"""A pack whose approvals somebody edited, every node hash made true again: HELM and the script refuse it alike (T7)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import trio

from helm.crypto.canonical import reread
from helm.evidence.pack import PackMaterial, build
from helm.evidence.selection import Selection
from helm.evidence.trust_root import TrustRoot
from tests.actors.approvers import Panel
from tests.actors.kit import House
from tests.actors.rewriting import Entry, rewritten
from tests.helm.evidence.forger import SCRIPT, check_refused, refusing_check, refusing_check_of_script

Past = tuple[Panel, list[bytes]]
Forge = Callable[[dict[str, Any]], object]


async def live(panel: Panel) -> list[bytes]:
    """Have two approve, one dispute, and an emergency key override another; return what stands in the journal."""
    async with panel.house.kernel(policy=panel.policy("quorum = 2, timelock_s = 1")) as kernel:
        asked = [(await kernel.call("asking", {"n": n}, principal="agent", session="one")).approval_id for n in (1, 2)]
        await trio.sleep(2)  # on Trio's own clock, which jumps: the timelock elapses
        for approver in (panel.alice, panel.bob):
            await approver.say(kernel, asked[0])
        await panel.carol.say(kernel, asked[0], "dispute")
        await panel.emergency.say(kernel, asked[1], "override", reason_code="LEGAL_ORDER")
        await panel.carol.say(kernel, asked[1], "review")
        await panel.carol.say(kernel, asked[1], "revoke")
    return list(panel.house.disk.rows)


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    """An installation with a past, which nobody changes."""
    panel = Panel.seat(House.build(tmp_path_factory.mktemp("past")))
    return panel, trio.run(live, panel, clock=trio.testing.MockClock(autojump_threshold=0.01))


def pack_of(past: Past, change: Callable[[int, Entry], object]) -> bytes:
    """Return the pack that somebody makes of the rows after changing them."""
    panel, rows = past
    selection = Selection("local", "one")
    for row in rewritten(rows, change):
        selection.take(reread(row))
    return build(PackMaterial(selection=selection, script=SCRIPT.read_bytes()), panel.house.place.evidence_key())


def root_of(past: Past) -> TrustRoot:
    return TrustRoot(log_id=past[0].house.place.log_id)


def of_kind(kind: str, forge: Forge, action: str = "") -> Callable[[int, Entry], object]:
    """Return the change of every event of a kind, or of the assertions of one action."""

    def change(_: int, entry: Entry) -> None:
        payload = entry["node"]["payload"]
        if payload["type"] == kind and action in ("", payload.get("assertion", {}).get("action")):
            forge(payload)

    return change


def put(*path: str, value: Any) -> Forge:
    """Return a forgery that puts `value` at a place of the payload."""

    def forge(payload: dict[str, Any]) -> None:
        at = payload
        for name in path[:-1]:
            at = at[name]
        at[path[-1]] = value

    return forge


NOWHERE = "sha256:" + "0" * 64


def expire_instead(_: int, entry: Entry) -> None:
    """Have the approvals expire where they were unlocked."""
    node = entry["node"]
    if node["payload"]["type"] == "APPROVALS_UNLOCKED":
        said = node["payload"]
        node["payload"] = {
            "approval_ids": said["approval_ids"],
            "expired_at_ms": said["unlocked_at_ms"],
            "type": "APPROVALS_EXPIRED",
        }


FORGERIES: dict[str, Callable[[int, Entry], object]] = {
    "a signature of nobody": of_kind("APPROVAL_ASSERTED", put("signature", value="00" * 64)),
    "a challenge of nobody": of_kind("APPROVAL_CHALLENGED", put("signature", value="00" * 64)),
    "an answer that came too late": of_kind("APPROVAL_ASSERTED", put("asserted_at_ms", value=2**50)),
    "another intent": of_kind("APPROVAL_ASSERTED", put("assertion", "intent_hash", value=NOWHERE)),
    "another approval": of_kind("APPROVAL_ASSERTED", put("assertion", "approval_id", value="apr_0")),
    "another log": of_kind("APPROVAL_ASSERTED", put("assertion", "log_id", value=NOWHERE)),
    "another reason": of_kind("APPROVAL_ASSERTED", put("assertion", "reason", value="because"), "review"),
    "another reason for an override": of_kind(
        "APPROVAL_ASSERTED", put("assertion", "reason_code", value="LIFE_SAFETY"), "override"
    ),
    "a timelock that never elapsed": of_kind("APPROVALS_UNLOCKED", put("approval_ids", value=[])),
    "a denial made of an approval": of_kind("APPROVAL_ASSERTED", put("assertion", "action", value="deny"), "approve"),
    "a deadline that passed before": expire_instead,
}


def test_the_pack_as_it_was_written_is_verified(past: Past) -> None:
    raw = pack_of(past, lambda *_: None)
    assert (refusing_check(raw, root_of(past)), refusing_check_of_script(raw, root_of(past))) == ("", "")


@pytest.mark.parametrize("forgery", FORGERIES)
def test_an_edited_ceremony_is_refused_by_both(past: Past, forgery: str) -> None:
    check_refused(pack_of(past, FORGERIES[forgery]), "approvals", root=root_of(past))


def test_one_approver_written_twice_is_no_quorum(past: Past) -> None:
    first: list[dict[str, Any]] = []

    def twice(_: int, entry: Entry) -> None:
        payload = entry["node"]["payload"]
        if payload["type"] == "APPROVAL_ASSERTED" and payload["assertion"]["action"] == "approve":
            first.append(payload)
            entry["node"]["payload"] = first[0]

    check_refused(pack_of(past, twice), "approvals", root=root_of(past))
