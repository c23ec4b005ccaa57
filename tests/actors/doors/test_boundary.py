"""The boundary, asked about itself: whose records are shown, and what an edited one comes to."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from helm.evidence.record_check import Held, verify_record
from helm.receipts.chain import name
from helm.surfaces.boundary import CAPABILITIES
from helm.surfaces.table import TABLE
from tests.actors.doors.street import Street
from tests.gates.test_walked import COMMANDS

RECORDS = "/api/v1/boundary/records"
READ = {"tool": "read", "arguments": {"path": "a"}}


async def held(street: Street) -> Held:
    """Make a call, and return its record with what stands beside it."""
    answer = (await street.call(READ)).json()
    story = (await street.ask("GET", f"/api/v1/receipts/{answer['receipt']['receipt_id']}")).json()
    entry = await street.kernel.library.entry(story["seq"])
    lamport = entry["node"]["lamport"]
    return Held(record=story["record"], decision=story["decision"], receipt=story["receipt"], lamport=lamport)


async def test_a_record_that_is_as_it_was_sealed_holds(street: Street) -> None:
    found = await held(street)
    told = verify_record(found, street.kernel.parts.state.registry)
    assert (told["verified"], told["errors"]) == (True, [])
    asked = await street.ask("POST", f"{RECORDS}/{found.record['record_id']}/verify", {})
    assert (asked.status, asked.json()["verified"], asked.json()["offline"]) == (200, True, False)
    assert [one["name"] for one in asked.json()["checks"]] == ["record", "decision", "receipt", "signature"]


@pytest.mark.parametrize(
    ("part", "edit", "failing"),
    [
        ("record", {"verdict": "DENY", "reason_code": "PDP_DENY"}, {"record", "decision"}),
        ("record", {"tool_name": "write"}, {"record"}),
        ("record", {"record_hash": "sha256:" + "0" * 64}, {"record", "receipt"}),
        ("decision", {"tool": "write"}, {"decision"}),
        ("receipt", {"output_hash": "sha256:" + "0" * 64}, {"receipt", "signature"}),
        ("receipt", {"signature": "0" * 128}, {"signature"}),
        ("decision", None, {"decision"}),
        ("receipt", None, {"receipt", "signature"}),
    ],
)
async def test_an_edit_is_found_by_the_check_that_it_breaks(
    street: Street, part: str, edit: dict[str, Any] | None, failing: set[str]
) -> None:
    found = await held(street)
    parts: dict[str, Any] = {"record": found.record, "decision": found.decision, "receipt": found.receipt}
    parts[part] = None if edit is None else parts[part] | edit
    told = verify_record(Held(lamport=found.lamport, **parts), street.kernel.parts.state.registry)
    assert not told["verified"]
    assert {one["name"] for one in told["checks"] if not one["ok"]} == failing


async def test_a_record_that_lost_a_member_fails_by_name(street: Street) -> None:
    found = await held(street)
    for member in found.record:
        rest = {name: said for name, said in found.record.items() if name != member}
        told = verify_record(attrs.evolve(found, record=rest), street.kernel.parts.state.registry)
        assert not told["checks"][0]["ok"], member


async def test_a_receipt_of_another_call_is_none_of_this_record(street: Street) -> None:
    one, other = await held(street), await held(street)
    told = verify_record(
        Held(record=one.record, decision=other.decision, receipt=other.receipt, lamport=other.lamport),
        street.kernel.parts.state.registry,
    )
    assert {check["name"] for check in told["checks"] if not check["ok"]} == {"decision", "receipt"}


async def test_a_receipt_that_says_another_thing_of_the_call_is_found(street: Street) -> None:
    """It names this record and earns its id anew; what it says of the call is another thing than the record does."""
    found = await held(street)
    fields = {
        member: said for member, said in (found.receipt or {}).items() if member not in ("receipt_id", "signature")
    }
    fields["principal"] = "somebody else"
    receipt = dict(sorted((fields | {"receipt_id": name(fields), "signature": "0" * 128}).items()))
    told = verify_record(attrs.evolve(found, receipt=receipt), street.kernel.parts.state.registry)
    assert "receipt: says another principal" in told["errors"]


async def test_the_proof_of_another_record_proves_nothing_of_this_one(street: Street) -> None:
    one, other = await held(street), await held(street)
    assert (await street.ask("POST", "/api/v1/boundary/checkpoints", {}, key=street.admin)).status == 201
    proofs = []
    for found in (one, other):
        told = (await street.ask("POST", f"{RECORDS}/{found.record['record_id']}/verify", {})).json()
        proofs.append(told["inclusion_proof"])
    registry = street.kernel.parts.state.registry
    assert verify_record(attrs.evolve(one, inclusion=proofs[0]), registry)["verified"]
    swapped = verify_record(attrs.evolve(one, inclusion=proofs[1]), registry)
    assert [check["name"] for check in swapped["checks"] if not check["ok"]] == ["checkpoint"]


async def test_nobody_sees_or_verifies_anothers_records(street: Street) -> None:
    found = await held(street)
    record_id = found.record["record_id"]
    assert (await street.ask("GET", RECORDS, key=street.rival)).json()["records"] == []
    assert (await street.ask("POST", f"{RECORDS}/{record_id}/verify", {}, key=street.rival)).status == 404
    sealed = (found.receipt or {})["receipt_id"]
    listed = await street.ask("GET", f"{RECORDS}?receipt_id={sealed}", key=street.rival)
    assert (listed.status, listed.json()["records"]) == (200, [])
    assert (await street.ask("GET", "/api/v1/proofgraph/sessions", key=street.rival)).json()["sessions"] == []
    session = found.record["session_id"]
    assert (await street.ask("GET", f"/api/v1/proofgraph/sessions/{session}", key=street.rival)).status == 404


@pytest.mark.parametrize(
    ("query", "count"),
    [("verdict=DENY", 1), ("tool_name=read", 2), ("policy_epoch=7", 3), ("policy_epoch=8", 0), ("limit=1", 1)],
)
async def test_records_are_found_by_what_they_say_and_paged(street: Street, query: str, count: int) -> None:
    for body in (READ, READ, {"tool": "nobody", "arguments": {}}):
        await street.call(body)
    assert len((await street.ask("GET", f"{RECORDS}?{query}")).json()["records"]) == count
    forward, after = [], 0
    while page := (await street.ask("GET", f"{RECORDS}?limit=2&after={after}")).json():
        forward += page["records"]
        if page["after"] == after:
            break
        after = page["after"]
    assert len({one["record_id"] for one in forward}) == len(forward) == 3


def test_every_route_and_command_of_a_capability_is_there() -> None:
    for one in CAPABILITIES:
        assert set(one.routes) <= TABLE.keys(), one.capability_id
        assert set(one.commands) <= COMMANDS.keys(), one.capability_id
