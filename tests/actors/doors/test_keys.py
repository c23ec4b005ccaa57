"""Bearer keys issued and taken back while the door is open: at once, for ever, and no log or list tells one."""

from __future__ import annotations

import json
import shutil
from contextlib import aclosing
from functools import partial
from typing import Any

import attrs
import pytest
import trio

from actors.commands.bearers import RevokeBearerKey
from actors.doors.browsing import Wanted
from actors.doors.serve import serve
from actors.doors.tail import Reader, Tails
from actors.keys.bearer import BearerKeys, KeyClass
from actors.stream_client import open_stream
from helm.config import Config
from helm.contracts.errors import Invalid
from helm.crypto.canonical import reread
from helm.crypto.hashing import sha256
from tests.actors.doors.frames import rude
from tests.actors.doors.street import SOON_S, Client, Reply, Street, open_street
from tests.actors.kit import House

KEYS = "/api/v1/keys"
READ = {"tool": "read", "arguments": {"path": "a"}, "session_id": "s"}


async def issue(street: Street, **asked: Any) -> dict[str, Any]:
    """Issue a key as the operator; return the answer's body."""
    body = {"class": "tenant", "principal": "bob", "tenant": "acme"} | asked
    told = await street.ask(
        "POST", KEYS, {name: said for name, said in body.items() if said is not None}, key=street.admin
    )
    assert told.status == 201, told.body
    found: dict[str, Any] = told.json()
    assert told.headers["location"] == f"{KEYS}/{found['bearer_key']['key_id']}"
    assert told.headers["cache-control"] == "no-store"
    return found


async def revoke(street: Street, key_id: str, *, key: str | None = None) -> Reply:
    """Take a key back as the operator."""
    return await street.ask("POST", f"{KEYS}/{key_id}/revoke", {"reason": "it leaked"}, key=key or street.admin)


async def named(street: Street, principal: str, tenant: str = "acme") -> str:
    """Return the name of the first key of a principal."""
    told = await street.ask("GET", f"{KEYS}?principal={principal}&tenant={tenant}", key=street.admin)
    found: str = told.json()["keys"][0]["key_id"]
    return found


async def test_an_issued_key_opens_at_once_what_its_class_opens(street: Street) -> None:
    bob = await issue(street, label="the build")
    ops = await issue(street, **{"class": "admin", "principal": "ops", "tenant": None})
    told = await street.call(READ, key=bob["key"])
    assert (told.status, told.receipt["principal"], told.receipt["tenant"]) == (200, "bob", "acme")
    assert (await street.ask("GET", KEYS, key=ops["key"])).status == 200
    assert (await street.ask("GET", KEYS, key=bob["key"])).status == 403
    shown = (await street.ask("GET", f"{KEYS}/{bob['bearer_key']['key_id']}", key=street.admin)).json()
    assert shown == bob["bearer_key"]
    assert (shown["label"], shown["state"], shown["expires_at_ms"]) == ("the build", "active", None)


async def test_a_revoked_key_opens_nothing_on_the_very_connection_that_it_had_opened(street: Street) -> None:
    bob = await issue(street)
    fields = {"authorization": f"Bearer {bob['key']}"}
    async with street.connected() as client:
        assert (await client.ask("GET", "/api/v1/receipts", b"", fields)).status == 200
        told = await revoke(street, bob["bearer_key"]["key_id"])
        assert (told.status, told.json()["state"], told.json()["reason"]) == (200, "revoked", "it leaked")
        refused = await client.ask("GET", "/api/v1/receipts", b"", fields)
    assert refused.status == 401
    assert (await street.call(READ, key=bob["key"])).status == 401
    again = await revoke(street, bob["bearer_key"]["key_id"])
    assert (again.status, again.json()) == (200, told.json())


async def test_a_list_that_is_cut_says_so(street: Street, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = (await street.ask("GET", KEYS, key=street.admin)).json()
    assert (listed["is_complete"], len(listed["keys"])) == (True, 3)
    for most, is_complete in ((3, True), (2, False)):
        monkeypatch.setattr("actors.doors.keys.MAX_SHOWN", most)
        listed = (await street.ask("GET", KEYS, key=street.admin)).json()
        assert (listed["is_complete"], len(listed["keys"])) == (is_complete, most)


async def test_a_second_key_of_a_principal_is_the_way_to_turn_one(street: Street) -> None:
    second = await issue(street, principal="agent")
    await revoke(street, await named(street, "agent"))
    assert (await street.call(READ)).status == 401
    told = await street.call(READ, key=second["key"])
    assert (told.status, told.receipt["principal"]) == (200, "agent")


async def test_an_idle_stream_ends_with_the_key_that_opened_it(street: Street) -> None:
    bob = await issue(street)
    async with open_stream(street.address.url, bob["key"]) as stream:
        assert (await stream.call("read", {"path": "a"})).allowed
        await revoke(street, bob["bearer_key"]["key_id"])
        with pytest.raises(Exception, match="revoked"), trio.fail_after(SOON_S):
            while True:
                await stream.call("read", {"path": "b"})


async def test_a_stream_that_says_nothing_ends_with_its_key_too(street: Street) -> None:
    bob = await issue(street)
    async with rude(street, bob["key"]) as client:
        await revoke(street, bob["bearer_key"]["key_id"])
        assert await client.end() == (1008, "the bearer key was revoked")


async def until(client: Client, what: bytes) -> bytes:
    """Return what is said until `what` was."""
    said = b""
    with trio.fail_after(SOON_S):
        while what not in said:
            piece = await client.stream.receive_some()
            assert piece, said
            said += piece
    return said


async def test_a_tail_of_receipts_ends_with_the_key_of_its_reader(street: Street) -> None:
    bob = await issue(street)
    async with street.connected() as client:
        heading = f"GET /api/v1/receipts/tail HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {bob['key']}\r\n\r\n"
        await client.stream.send_all(heading.encode())
        await until(client, b": receipts")
        await revoke(street, bob["bearer_key"]["key_id"])
        await street.call(READ)
        said = await until(client, b"0\r\n\r\n")
    assert b"event: receipt" not in said


async def test_of_a_page_of_receipts_none_is_told_once_its_readers_key_is_revoked(street: Street) -> None:
    """A reader who takes them slowly would otherwise hear of a whole page more."""
    for _ in range(3):
        await street.call(READ)
    told: list[int] = []
    reader = Reader("acme", lambda: len(told) < 2)
    async with aclosing(Tails(street.kernel).watch(Wanted(tenant="acme"), 0, reader)) as seen:
        async for one in seen:
            if one.receipt is not None:
                told.append(one.seq)  # noqa: PERF401 - the reader looks at it meanwhile
    assert len(told) == 2


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/tools/execute", b'{"tool": "read", "arguments": {"path": "a"}, "session_id": "s"}'),
        ("/api/v1/evaluate", b'{"tool": "read", "arguments": {"path": "a"}, "session_id": "s"}'),
        ("/mcp", b'{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}'),
    ],
    ids=["execute", "evaluate", "mcp"],
)
async def test_a_body_that_takes_its_time_is_judged_by_the_key_as_it_stands_at_its_end(
    street: Street, path: str, body: bytes
) -> None:
    bob = await issue(street)
    async with street.connected() as client:
        heading = (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{street.address.port}\r\nauthorization: Bearer {bob['key']}\r\n"
            f"accept: application/json\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        await client.stream.send_all(heading.encode() + body[:10])
        await revoke(street, bob["bearer_key"]["key_id"])
        await client.stream.send_all(body[10:])
        assert b" 401 " in await until(client, b"the bearer key was revoked")


async def test_an_operators_body_too_is_judged_by_the_key_as_it_stands_at_its_end(street: Street) -> None:
    """Who is about to be thrown out must not have begun to issue a key for the time after."""
    ops = await issue(street, **{"class": "admin", "principal": "ops", "tenant": None})
    body = b'{"class": "admin", "principal": "mallory"}'
    async with street.connected() as client:
        heading = (
            f"POST {KEYS} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {ops['key']}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        await client.stream.send_all(heading.encode() + body[:10])
        await revoke(street, ops["bearer_key"]["key_id"])
        await client.stream.send_all(body[10:])
        assert b" 401 " in await until(client, b"the bearer key was revoked")
    assert not (await street.ask("GET", f"{KEYS}?principal=mallory", key=street.admin)).json()["keys"]


@pytest.mark.parametrize("reason", ["", "two\nlines", "x" * 501])
async def test_a_key_is_taken_back_for_a_reason_of_one_line(street: Street, reason: str) -> None:
    bob = await issue(street)
    told = await street.ask(
        "POST", f"{KEYS}/{bob['bearer_key']['key_id']}/revoke", {"reason": reason}, key=street.admin
    )
    assert told.status in {400, 409}
    assert (await street.call(READ, key=bob["key"])).status == 200


EDITS: dict[str, dict[str, Any]] = {
    "another class": {"key_class": "admin", "tenant": ""},
    "another tenant": {"tenant": "globex"},
    "another principal": {"principal": "alice"},
    "a wider scope": {"scope": ""},
    "no end": {"expires_at_ms": 0},
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS)
async def test_whoever_edits_the_file_of_keys_widens_none_that_was_issued(house: House, edit: dict[str, Any]) -> None:
    """T8: the log says what a key opens and until when, whatever its row in the file has become."""
    async with open_street(house) as street:
        bob = await issue(street, scope="read", expires_in_s=3600)
        eve = await issue(street, principal="eve")
    path = house.path / "street-keys.json"
    file = json.loads(path.read_bytes())
    file["keys"] = [one | edit if one["principal"] == "bob" else one for one in file["keys"]]
    path.write_text(json.dumps(file))
    async with house.kernel() as kernel:
        door = await kernel.nursery.start(partial(serve, kernel, Config(port=0, grace_s=2.0), BearerKeys.load(path)))
        street = Street(kernel, door, bob["key"], eve["key"], "")
        told = await street.ask("GET", "/api/v1/receipts", key=bob["key"])
        assert (told.status, told.json()["detail"][:29]) == (401, "the file of bearer keys says ")
        assert (await street.call(READ, key=eve["key"])).status == 200


async def test_a_key_ends_with_its_time(house: House) -> None:
    async with open_street(house) as street:
        bob = await issue(street, expires_in_s=60)
        assert (await street.call(READ, key=bob["key"])).status == 200
        house.clock.advance(61)
        refused = await street.call(READ, key=bob["key"])
        (shown,) = (await street.ask("GET", f"{KEYS}?state=expired", key=street.admin)).json()["keys"]
        agents = (await street.ask("GET", "/api/v1/identity/agents?principal=bob", key=street.admin)).json()["agents"]
    assert [one["source"] for one in agents] == ["embedding"]
    assert (refused.status, refused.json()["detail"]) == (401, "the bearer key has expired")
    assert shown["key_id"] == bob["bearer_key"]["key_id"]


async def test_a_key_for_reading_changes_nothing_and_calls_nothing(street: Street) -> None:
    scraper = await issue(street, **{"class": "admin", "principal": "scraper", "tenant": None, "scope": "read"})
    reader = await issue(street, principal="reader", scope="read")
    for key in (scraper["key"], reader["key"]):
        assert (await street.ask("GET", "/api/v1/receipts", key=key)).status == 200
    assert (await street.ask("GET", "/metrics", key=scraper["key"])).status == 200
    for path, body in ((KEYS, {"class": "admin", "principal": "x"}), ("/api/v1/boundary/checkpoints", {})):
        assert (await street.ask("POST", path, body, key=scraper["key"])).status == 403
    assert (await street.ask("POST", "/api/v1/sessions", {}, key=reader["key"])).status == 403
    assert (await street.call(READ, key=reader["key"])).json()["detail"] == "this key only reads"
    async with open_stream(street.address.url, reader["key"]) as stream:
        assert not (await stream.call("read", {"path": "a"})).allowed


async def test_the_last_key_of_the_control_plane_is_not_taken_back(street: Street) -> None:
    operator = await named(street, "operator", "")
    await issue(street, **{"class": "admin", "principal": "scraper", "tenant": None, "scope": "read"})
    refused = await revoke(street, operator)
    assert refused.status == 409 and "issue another admin key first" in refused.json()["detail"]
    other = await issue(street, **{"class": "admin", "principal": "ops", "tenant": None})
    assert (await revoke(street, operator)).status == 200
    assert (await street.ask("GET", KEYS)).status == 403
    assert (await street.ask("GET", KEYS, key=street.admin)).status == 401
    assert (await revoke(street, other["bearer_key"]["key_id"], key=other["key"])).status == 409


async def test_two_operators_who_take_each_other_back_leave_one(street: Street) -> None:
    other = await issue(street, **{"class": "admin", "principal": "ops", "tenant": None})
    operator, told = await named(street, "operator", ""), []

    async def take(key_id: str, key: str) -> None:
        told.append((await revoke(street, key_id, key=key)).status)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(take, operator, other["key"])
        nursery.start_soon(take, other["bearer_key"]["key_id"], street.admin)
    assert 200 in told and len(set(told)) == 2


@pytest.mark.parametrize("key_id", ["bk_" + "0" * 32, "operator", "helm_x", "%20"])
async def test_a_key_that_never_was_is_not_found(street: Street, key_id: str) -> None:
    assert (await revoke(street, key_id)).status == 404
    assert (await street.ask("GET", f"{KEYS}/{key_id}", key=street.admin)).status == 404


@pytest.mark.parametrize(
    "asked",
    [
        {"tenant": None},
        {"tenant": "a/b"},
        {"class": "admin"},
        {"class": "root"},
        {"principal": ""},
        {"principal": "an agent"},
        {"principal": "oidc:corp:alice"},
        {"label": "two\nlines"},
        {"label": "x" * 101},
        {"scope": "write"},
        {"expires_in_s": 0},
        {"credential_hash": sha256(b"mine")},
    ],
)
async def test_a_key_for_nobody_in_particular_is_refused_and_no_log_hears_of_it(
    street: Street, house: House, asked: dict[str, Any]
) -> None:
    body = {"class": "tenant", "principal": "bob", "tenant": "acme"} | asked
    told = await street.ask(
        "POST", KEYS, {name: said for name, said in body.items() if said is not None}, key=street.admin
    )
    assert told.status == 400, told.body
    assert not any(b"BEARER_KEY" in row for row in house.disk.rows)


async def test_neither_log_nor_file_nor_list_tells_a_key_or_lets_one_be_made(street: Street, house: House) -> None:
    bob = await issue(street)
    listed = await street.ask("GET", KEYS, key=street.admin)
    acts = await street.ask("GET", "/api/v1/audit", key=street.admin)
    file = (house.path / "street-keys.json").read_bytes()
    hashed = sha256(bob["key"].encode())
    for place in (listed.body, acts.body, file, *house.disk.rows):
        assert bob["key"].encode() not in place
    for place in (listed.body, acts.body, *house.disk.rows):
        assert hashed.encode() not in place
    assert hashed.encode() in file
    issued = [act for act in acts.json()["acts"] if act["kind"] == "BEARER_KEY_ISSUED"]
    assert [(act["who"], act["says"]["bearer_key"]) for act in issued] == [("operator", bob["bearer_key"]["key_id"])]
    await revoke(street, bob["bearer_key"]["key_id"])
    assert hashed.encode() not in (house.path / "street-keys.json").read_bytes()


async def test_a_restart_knows_what_was_issued_and_what_was_taken_back(house: House) -> None:
    async with open_street(house) as street:
        bob, eve = await issue(street), await issue(street, principal="eve")
        shutil.copy(house.path / "street-keys.json", house.path / "earlier.json")
        await revoke(street, eve["bearer_key"]["key_id"])
        lived = reread(house.disk.rows[-1])["node"]["payload"]["type"], street.kernel.memory.bearers
    state, _ = await house.read_simulated()
    assert lived == ("BEARER_KEY_REVOKED", state.memory.bearers)
    shutil.copy(house.path / "earlier.json", house.path / "street-keys.json")  # a file of keys from before
    keys = BearerKeys.load(house.path / "street-keys.json")
    async with house.kernel() as kernel:
        door = await kernel.nursery.start(partial(serve, kernel, Config(port=0, grace_s=2.0), keys))
        street = Street(kernel, door, bob["key"], eve["key"], "")
        assert (await street.call(READ, key=bob["key"])).status == 200
        assert (await street.call(READ, key=eve["key"])).json()["detail"] == "the bearer key was revoked"


async def test_a_file_of_keys_that_cannot_be_written_lets_nobody_in_and_keeps_nobody(street: Street) -> None:
    bob, keys = await issue(street), street.door.service.streams.who.keys
    keys.path = keys.path.parent / "gone" / "keys.json"
    body = {"class": "tenant", "principal": "eve", "tenant": "acme"}
    told = await street.ask("POST", KEYS, body, key=street.admin)
    assert (told.status, "gone" in told.json()["detail"]) == (503, False)
    assert not (await street.ask("GET", f"{KEYS}?principal=eve", key=street.admin)).json()["keys"]
    gone = await revoke(street, bob["bearer_key"]["key_id"])
    assert (gone.status, gone.json()["state"]) == (200, "revoked")
    assert (await street.call(READ, key=bob["key"])).json()["detail"] == "the bearer key was revoked"


async def test_a_key_for_which_the_file_has_no_room_is_refused_before_the_log_hears_of_it(
    street: Street, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("actors.keys.bearer.MAX_BYTES", 100)
    told = await street.ask("POST", KEYS, {"class": "tenant", "principal": "eve", "tenant": "acme"}, key=street.admin)
    assert (told.status, told.json()["detail"]) == (400, "no more keys fit in the file")
    assert not any(b"BEARER_KEY" in row for row in house.disk.rows)


async def test_a_log_in_which_a_key_was_issued_twice_does_not_open(street: Street) -> None:
    bob = await issue(street)
    memory = street.kernel.memory
    with pytest.raises(Exception, match="issued before"):
        memory.bearers.issue(memory.bearers.issued[bob["bearer_key"]["key_id"]])


async def test_a_log_in_which_a_key_is_issued_that_was_taken_back_does_not_open(street: Street) -> None:
    """The first keys of an installation were issued before there was a log, and are taken back like any other."""
    bob, bearers = await issue(street), street.kernel.memory.bearers
    rival = await named(street, "agent", "globex")
    assert (await revoke(street, rival)).status == 200
    again = attrs.evolve(bearers.issued[bob["bearer_key"]["key_id"]], bearer_key=rival)
    with pytest.raises(Invalid, match="issued before"):
        bearers.issue(again)


async def test_an_identity_whose_key_was_taken_back_is_not_told_as_one_with_a_key(street: Street) -> None:
    bob = await issue(street)
    await street.call(READ, key=bob["key"])
    await revoke(street, bob["bearer_key"]["key_id"])
    agents = (await street.ask("GET", "/api/v1/identity/agents?principal=bob", key=street.admin)).json()["agents"]
    assert [(one["source"], one["key_created_at_ms"]) for one in agents] == [("embedding", None)]


async def test_the_environments_admin_key_is_taken_back_like_any_other(house: House) -> None:
    keys = BearerKeys(house.path / "street-keys.json", ())
    keys.issue(KeyClass.ADMIN, "", "operator", at_ms=0)
    both = BearerKeys.load(keys.path, "0123456789abcdef0123456789abcdef")
    async with house.kernel() as kernel:
        (environment,) = both.environment
        await kernel.command(RevokeBearerKey(environment.name, environment, "turned", "operator", both))
        door = await kernel.nursery.start(partial(serve, kernel, Config(port=0, grace_s=2.0), both))
        street = Street(kernel, door, "", "", "0123456789abcdef0123456789abcdef")
        assert (await street.ask("GET", KEYS, key=street.admin)).status == 401
