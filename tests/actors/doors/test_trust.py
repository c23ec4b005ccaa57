"""The keys over HTTP: read by an operator, changed by whoever holds the trust-admin key, and by nobody else."""

from __future__ import annotations

from typing import Any

import trio

from actors.installation import Installation
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import Signer, SigningKey
from helm.guardian.freezes import FREEZE_COMMAND, FreezeCommand, sign_command
from helm.trust.event import EventKind, KeyChange, TrustEvent, from_body, sign_event, to_body
from helm.trust.registry import Registry, fold
from tests.actors.doors.street import Reply, Street, open_street
from tests.actors.kit import House

EVENTS = "/api/v1/trust/events"
NEW = SigningKey.from_seed(b"n" * 32, KeyPurpose.EMERGENCY)
ROGUE = SigningKey.from_seed(b"r" * 32, KeyPurpose.TRUST_ADMIN)


def registry(street: Street) -> Registry:
    found = street.kernel.parts.state.registry
    assert found is not None
    return found


def event(street: Street, signer: Signer, kind: EventKind, key: Signer, replaces: str = "") -> TrustEvent:
    """The next event of the street's log, by `signer`."""
    change = KeyChange(
        key_id=key.key_id,
        kind=kind.value,
        public_key=key.public_key,
        purpose=key.purpose.value,
        reason="a test needs it",
        replaces=replaces,
    )
    return sign_event(change, registry(street).place, 1, signer)


async def hand_in(street: Street, one: TrustEvent) -> Reply:
    return await street.ask("POST", EVENTS, {"event": to_body(one)}, key=street.admin)


def stop(street: Street, key: Signer, sequence: int = 1) -> dict[str, Any]:
    command = FreezeCommand(
        action="freeze",
        issued_at_ms=1,
        key_id=key.key_id,
        log_id=street.kernel.parts.boot.log_id,
        reason="a drill",
        scope="tenant",
        sequence=sequence,
        target="acme",
    )
    return {"command": FREEZE_COMMAND.body(command), "signature": sign_command(command, key)}


async def test_a_key_counts_from_the_event_that_adds_it_until_the_one_that_revokes_it(house: House) -> None:
    place = Installation.open(house.path)
    async with open_street(house) as street:
        assert (await street.ask("POST", "/api/v1/freeze", stop(street, NEW), key=street.admin)).status == 403
        admin = place.trust_admin_key()
        added = await hand_in(street, event(street, admin, EventKind.KEY_ADDED, NEW))
        assert added.status == 201
        assert (await street.ask("POST", "/api/v1/freeze", stop(street, NEW), key=street.admin)).status == 200
        assert (await hand_in(street, event(street, admin, EventKind.KEY_REVOKED, NEW))).status == 201
        late = await street.ask("POST", "/api/v1/freeze", stop(street, NEW, 2), key=street.admin)
        assert late.status == 403
        assert "revoked" in late.json()["detail"]
    async with open_street(house) as street:  # the journal folds: what was accepted then is accepted again
        assert registry(street).height == len(place.genesis) + 2
        assert street.kernel.memory.freezes.in_force == {("tenant", "acme")}


async def test_the_snapshot_is_the_fold_of_the_events_at_every_height_of_the_log(house: House) -> None:
    async with open_street(house) as street:
        admin = Installation.open(house.path).trust_admin_key()
        await hand_in(street, event(street, admin, EventKind.KEY_ADDED, NEW))
        told = (await street.ask("GET", EVENTS, key=street.admin)).json()
        history = [(from_body(row["event"]), row["lamport"]) for row in told["events"]]
        assert told["next"] is None
        for lamport in {placed for _, placed in history}:
            asked = await street.ask("GET", f"/api/v1/trust/snapshot?at_lamport={lamport}", key=street.admin)
            expected = fold(((one, at) for one, at in history if at <= lamport), told["log_id"])
            assert asked.json() == expected.snapshot()
        keys = await street.ask("GET", "/api/v1/trust/keys", key=street.admin)
        assert {known["key_id"] for known in keys.json()["keys"]} >= {NEW.key_id, admin.key_id}
        assert (await street.ask("GET", "/api/v1/trust/snapshot?at_lamport=0", key=street.admin)).status == 404


async def test_events_come_in_pages(street: Street) -> None:
    first = (await street.ask("GET", f"{EVENTS}?limit=4", key=street.admin)).json()
    assert ([row["event"]["height"] for row in first["events"]], first["next"]) == ([1, 2, 3, 4], 4)
    rest = (await street.ask("GET", f"{EVENTS}?after=4", key=street.admin)).json()
    height = registry(street).height
    assert ([row["event"]["height"] for row in rest["events"]], rest["next"]) == ([*range(5, height + 1)], None)


async def test_a_rogue_that_stole_an_operators_key_changes_no_key(street: Street) -> None:
    rogue = await hand_in(street, event(street, ROGUE, EventKind.KEY_ADDED, NEW))
    assert rogue.status == 403
    assert "may not sign trust events" in rogue.json()["detail"]
    assert NEW.key_id not in registry(street).keys


async def test_a_tenant_reads_and_changes_no_key(street: Street) -> None:
    for path in (EVENTS, "/api/v1/trust/keys", "/api/v1/trust/snapshot"):
        assert (await street.ask("GET", path)).status == 403
    assert (await street.ask("POST", EVENTS, {"event": {}})).status == 403


async def test_an_event_that_lost_the_race_is_a_conflict(house: House, street: Street) -> None:
    admin = Installation.open(house.path).trust_admin_key()
    first, second = (event(street, admin, EventKind.KEY_ADDED, key) for key in (NEW, ROGUE))
    replies: list[Reply] = []

    async def race(one: TrustEvent) -> None:
        replies.append(await hand_in(street, one))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(race, first)
        nursery.start_soon(race, second)
    assert sorted(reply.status for reply in replies) == [201, 409]
    assert (NEW.key_id in registry(street).keys) != (ROGUE.key_id in registry(street).keys)


async def test_what_is_no_event_is_refused_at_its_place(house: House, street: Street) -> None:
    admin = Installation.open(house.path).trust_admin_key()
    body = to_body(event(street, admin, EventKind.KEY_ADDED, NEW))
    for wrong in ({}, body | {"kind": "KEY_FORGOTTEN"}, body | {"extra": ""}, "event"):
        reply = await street.ask("POST", EVENTS, {"event": wrong}, key=street.admin)
        assert (reply.status, reply.json()["place"]) == (400, "/event")
    edited = await street.ask("POST", EVENTS, {"event": body | {"reason": "another"}}, key=street.admin)
    assert edited.status == 403


async def test_the_running_kernels_own_pen_is_not_taken_from_it(house: House, street: Street) -> None:
    place = Installation.open(house.path)
    new = SigningKey.from_seed(b"e" * 32, KeyPurpose.EXECUTION)
    pen = street.kernel.parts.pen
    rotation = event(street, place.trust_admin_key(), EventKind.KEY_ROTATED, new, replaces=pen.key_id)
    for one in (rotation, event(street, place.trust_admin_key(), EventKind.KEY_REVOKED, pen)):
        reply = await hand_in(street, one)
        assert reply.status == 403
    assert (await hand_in(street, rotation)).json()["detail"].count("stop the kernel") == 1
    assert (await street.call({"tool": "read", "arguments": {"path": "a"}})).status == 200


async def test_calls_and_key_changes_under_way_together_leave_a_log_that_folds(house: House) -> None:
    place = Installation.open(house.path)
    async with open_street(house) as street:
        admin = place.trust_admin_key()

        async def call() -> None:
            assert (await street.call({"tool": "read", "arguments": {"path": "a"}})).status == 200

        async with trio.open_nursery() as nursery:
            for number in range(6):
                for _ in range(4):
                    nursery.start_soon(call)
                key = SigningKey.from_seed(bytes([100 + number]) * 32, KeyPurpose.APPROVAL)
                assert (await hand_in(street, event(street, admin, EventKind.KEY_ADDED, key))).status == 201
        live = registry(street).snapshot()
    async with open_street(house) as street:
        assert registry(street).snapshot() == live
