"""A stream: many calls in flight on one connection, each answered when it is sealed, and every one with its receipt."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import trio

from actors.doors.bounds import BOUNDS, Bounds
from actors.doors.envelope import ENVELOPE_DEPTH
from actors.doors.stream import UNTOLD
from actors.doors.tail import MAX_OF_TENANT, MAX_TAILS
from actors.kernel import Limits
from actors.mailbox import KernelStopped
from helm.config import Config
from tests.actors.doors.frames import CLOSE, FIN, PING, PONG, Raw, frame, rude, upgrade
from tests.actors.doors.street import SOON_S, Street, open_street
from tests.actors.kit import House
from tests.actors.puppet import Hold, Puppet
from tests.gates.source import ROOT

READ: dict[str, Any] = {"tool": "read", "arguments": {"path": "a"}}


async def nobody_left(street: Street) -> None:
    """Wait until every place at the door is free again."""
    with trio.fail_after(SOON_S):
        while street.door.clients:  # noqa: ASYNC110 - rings no bell
            await trio.sleep(0.01)
    assert not street.door.service.streams.open


async def receipts(street: Street, session_id: str) -> list[dict[str, Any]]:
    """Return what was sealed in a session."""
    reply = await street.ask("GET", f"/api/v1/receipts?session_id={session_id}")
    found: list[dict[str, Any]] = reply.json()["receipts"]
    return found


# -- calls ------------------------------------------------------------------------------------------------------------


async def test_an_answer_has_the_members_that_http_has_and_the_id(street: Street) -> None:
    async with rude(street) as stream:
        await stream.say(id="1", **READ)
        told = await stream.heard()
        await stream.say(id="2", tool="nobody-knows", arguments={})
        refused = await stream.heard()
    assert told.keys() - {"id"} == (await street.call(READ)).json().keys()
    assert refused.keys() - {"id"} == (await street.call({"tool": "nobody-knows", "arguments": {}})).json().keys()
    assert (told["id"], told["verdict"], told["status"], told["output"]) == ("1", "ALLOW", "SUCCESS", {"n": 1})
    assert (refused["id"], refused["verdict"], refused["status"]) == ("2", "DENY", 403)


async def test_the_receipt_says_by_which_door_a_call_came(street: Street) -> None:
    async with rude(street) as stream:
        await stream.say(id="1", **READ)
        assert (await stream.heard())["receipt"]["transport"] == "websocket"


async def test_a_slow_call_holds_up_no_answer_behind_it(house: House) -> None:
    hold = Hold()
    puppet = Puppet(lambda order: hold(order) if b"slow" in order.arguments else {"n": 1})
    async with open_street(house, puppet) as street, rude(street) as stream:
        await stream.say(id="slow", tool="read", arguments={"path": "slow"})
        await stream.say(id="quick", **READ)
        assert (await stream.heard())["id"] == "quick"
        hold.let_go()
        assert (await stream.heard())["id"] == "slow"


async def test_more_calls_than_places_wait_in_the_socket_and_none_is_refused(house: House) -> None:
    hold = Hold()
    puppet = Puppet(hold, awaited=8)
    async with open_street(house, puppet, bounds=Bounds(calls_on_stream=8)) as street, rude(street) as stream:
        await stream.push(b"".join(frame(json.dumps({"id": str(n), **READ}).encode()) for n in range(60)))
        await puppet.began.wait()
        await trio.sleep(0.05)
        assert len(puppet.orders) == 8
        hold.let_go()
        told = [await stream.heard() for _ in range(60)]
    assert {one["status"] for one in told} == {"SUCCESS"}
    assert {one["id"] for one in told} == {str(n) for n in range(60)}


async def test_where_other_streams_hold_the_places_a_call_is_told_so_and_when_to_come_back(house: House) -> None:
    puppet = Puppet(Hold(), awaited=2)
    limits = Limits(places=4, places_per_principal=2, grace_s=0.2)
    async with open_street(house, puppet, limits=limits) as street, rude(street) as one, rude(street) as other:
        for number in range(2):
            await one.say(id=str(number), **READ)
        await puppet.began.wait()
        await other.say(id="late", **READ)
        told = await other.heard()
    assert (told["id"], told["status"], told["reason_code"], told["retry_after_s"]) == ("late", 503, "OVERLOADED", 1)


async def test_one_key_is_one_call_on_a_stream_too(house: House) -> None:
    puppet = Puppet()
    async with open_street(house, puppet) as street, rude(street) as stream:
        for number in ("1", "2"):
            await stream.say(id=number, idempotency_key="once", session_id="s", **READ)
        told = [await stream.heard(), await stream.heard()]
    assert len(puppet.orders) == 1
    assert sorted(one["replayed"] for one in told) == [False, True]
    assert told[0]["receipt"] == told[1]["receipt"]


TORN: dict[str, bytes] = {
    "no JSON": b'{"id": "1", "tool": "read", "arguments": {"n": NaN}, "session_id": "t"}',
    "a name twice": b'{"id": "1", "tool": "read", "arguments": {"n": 1, "n": 2}, "session_id": "t"}',
    "no id": b'{"tool": "read", "arguments": {}, "session_id": "t"}',
    "an id of another type": b'{"id": 1, "tool": "read", "arguments": {}, "session_id": "t"}',
    "an id that is too long": b'{"id": "%b", "tool": "read", "arguments": {}, "session_id": "t"}' % (b"x" * 129),
    "something behind it": b'{"id": "1", "tool": "read", "arguments": {}, "session_id": "t"} {}',
    "too deep": b'{"id": "1", "tool": "read", "arguments": %b1%b, "session_id": "t"}' % (b"[" * 99, b"]" * 99),
}


@pytest.mark.parametrize("raw", TORN.values(), ids=TORN)
async def test_a_torn_message_that_names_a_tool_leaves_a_receipt(house: House, raw: bytes) -> None:
    puppet = Puppet()
    async with open_street(house, puppet) as street, rude(street) as stream:
        await stream.push(frame(raw))
        told = await stream.heard()
        assert (told["id"], told["verdict"], told["reason_code"]) == (None, "DENY", "SCHEMA_VIOLATION")
        assert [receipt["receipt_id"] for receipt in await receipts(street, "t")] == [told["receipt"]["receipt_id"]]
    assert not puppet.orders


UNFRAMED: dict[str, tuple[bytes, str | None, str]] = {
    "no tool": (b'{"id": "1", "arguments": {}}', "1", "/tool"),
    "a member that means nothing": (b'{"id": "1", "tool": "read", "argumnts": {}}', "1", "/argumnts"),
    "an array": (b"[1]", None, "/"),
    "nothing": (b"", None, "byte 0"),
    "two tools": (b'{"id": "1", "tool": "read", "tool": "pay"}', None, "/tool"),
    "another's session": (b'{"id": "1", "tool": "read", "session_id": "auto-0123456789abcdef-1"}', "1", "/session_id"),
}


@pytest.mark.parametrize(("raw", "request_id", "place"), UNFRAMED.values(), ids=UNFRAMED)
async def test_a_message_that_is_no_call_is_told_its_mistake_and_the_stream_goes_on(
    street: Street, raw: bytes, request_id: str | None, place: str
) -> None:
    async with rude(street) as stream:
        await stream.push(frame(raw))
        told = await stream.heard()
        assert (told["id"], told["place"], "receipt" in told) == (request_id, place, False)
        assert told["status"] in (400, 403)
        await stream.say(id="2", **READ)
        assert (await stream.heard())["verdict"] == "ALLOW"


async def test_an_operator_makes_no_calls(street: Street) -> None:
    async with rude(street, street.admin) as stream:
        await stream.say(id="1", **READ)
        told = await stream.heard()
    assert (told["id"], told["status"], "receipt" in told) == ("1", 403, False)


async def test_a_message_in_fragments_is_a_message(street: Street) -> None:
    raw = json.dumps({"id": "1", **READ, "session_id": "s"}).encode()
    async with rude(street) as stream:
        pieces = [raw[at : at + 7] for at in range(0, len(raw), 7)]
        for number, piece in enumerate(pieces):
            await stream.push(frame(piece, (number == 0) | (FIN if number == len(pieces) - 1 else 0)))
            await stream.push(frame(b"?", FIN | PING) if number == 1 else b"")
        assert await stream.frame() == (PONG, b"?")
        assert (await stream.heard())["verdict"] == "ALLOW"


async def test_frames_in_single_bytes_are_frames(street: Street) -> None:
    async with rude(street) as stream:
        for byte in frame(json.dumps({"id": "1", **READ}).encode()):
            await stream.push(bytes([byte]))
        assert (await stream.heard())["id"] == "1"


# -- the upgrade ------------------------------------------------------------------------------------------------------


async def test_nobody_gets_a_frame_in_before_the_key_is_known(street: Street) -> None:
    call = frame(json.dumps({"id": "1", **READ, "session_id": "early"}).encode())
    for key in ("", "helm_nobody"):
        said = await street.shout(upgrade(key) + call)
        assert said.startswith(b"HTTP/1.1 401 ") and b"problem+json" in said and said.count(b"HTTP/1.1 ") == 1
    assert await receipts(street, "early") == []
    await nobody_left(street)


async def test_what_comes_in_the_same_breath_as_the_upgrade_is_heard(street: Street) -> None:
    async with street.connected() as client:
        await client.stream.send_all(upgrade(street.agent) + frame(json.dumps({"id": "1", **READ}).encode()))
        raw = Raw(client.stream)
        while b"SUCCESS" not in raw.held:
            raw.held += bytes(await client.stream.receive_some())
    assert raw.held.startswith(b"HTTP/1.1 101 ")


NO_UPGRADE: dict[str, tuple[bytes, bytes, bytes]] = {
    "no protocol": (upgrade("KEY", protocol=""), b"400", b"sec-websocket-protocol"),
    "another protocol": (upgrade("KEY", protocol="mcp"), b"400", b"helm.stream.v1"),
    "another method": (upgrade("KEY", method="POST"), b"405", b"GET"),
    "another version": (upgrade("KEY", version="12"), b"426", b"sec-websocket-version: 13"),
    "another upgrade": (upgrade("KEY").replace(b"upgrade: websocket", b"upgrade: h2c"), b"426", b"websocket"),
    "no key of its own": (upgrade("KEY").replace(b"sec-websocket-key", b"x-key"), b"426", b"Sec-WebSocket-Key"),
    "a body": (upgrade("KEY", "content-length: 4"), b"400", b"no body"),
    "chunks": (upgrade("KEY", "transfer-encoding: chunked"), b"400", b"no body"),
    "two keys": (upgrade("KEY", "authorization: Bearer x"), b"400", b"twice"),
}


@pytest.mark.parametrize(("request_", "status", "told"), NO_UPGRADE.values(), ids=NO_UPGRADE)
async def test_what_is_no_upgrade_of_ours_stays_http(
    street: Street, request_: bytes, status: bytes, told: bytes
) -> None:
    said = await street.shout(request_.replace(b"KEY", street.agent.encode()))
    assert said.startswith(b"HTTP/1.1 " + status) and told in said and b"problem+json" in said
    await nobody_left(street)


async def test_a_request_that_does_not_upgrade_is_told_how(street: Street) -> None:
    reply = await street.ask("GET", "/v1/stream")
    assert (reply.status, reply.headers["upgrade"]) == (426, "websocket")


async def test_of_several_protocols_ours_is_chosen_and_of_extensions_none(street: Street) -> None:
    fields = ("sec-websocket-extensions: permessage-deflate",)
    async with street.connected() as client:
        await client.stream.send_all(upgrade(street.agent, *fields, protocol="helm.stream.v9, helm.stream.v1"))
        said = bytes(await client.stream.receive_some()).lower()
    assert b"sec-websocket-protocol: helm.stream.v1\r\n" in said
    assert b"sec-websocket-extensions" not in said


async def test_one_tenant_takes_no_stream_from_the_others(house: House) -> None:
    async with open_street(house, bounds=Bounds(streams=3, streams_of_tenant=2)) as street:
        async with rude(street), rude(street):
            assert (await street.shout(upgrade(street.agent))).startswith(b"HTTP/1.1 503 ")
            async with rude(street, street.rival):
                assert (await street.shout(upgrade(street.admin))).startswith(b"HTTP/1.1 503 ")
        await nobody_left(street)
        async with rude(street) as stream:
            await stream.say(id="1", **READ)
            assert (await stream.heard())["id"] == "1"


# -- limits -----------------------------------------------------------------------------------------------------------

HASTY = Bounds(
    quiet_s=0.2, pong_s=0.2, body_s=0.3, write_s=0.3, linger_s=0.2, fragments=8, controls_per_s=8, bad_messages=4
)
BAD = frame(b"{}")
RUDE: dict[str, tuple[bytes, int, str]] = {
    "binary": (frame(b"{}", FIN | 2), 1003, "JSON in a text frame"),
    "no UTF-8": (frame(b'{"id": "\xff"}'), 1007, "no UTF-8 at byte 8"),
    "no UTF-8 in fragments": (frame(b"\xc3", 1) + frame(b"(", FIN), 1007, ""),
    "half a character at the end": (frame(b"\xc3"), 1007, "no UTF-8"),
    "announced too long": (frame(b"x" * 70_000)[:14], 1009, "longer than 65536 bytes"),
    "too long in fragments": (frame(b"x" * 40_000, 1) + frame(b"x" * 40_000, FIN), 1009, "longer than 65536 bytes"),
    "a flood of fragments": (frame(b"", 1) + frame(b"", 0) * 9, 1008, "more than 8 fragments"),
    "a flood of pings": (frame(b"", FIN | PING) * 9, 1008, "more than 8 pings and pongs in a second"),
    "a flood of pongs": (frame(b"", FIN | PONG) * 9, 1008, "more than 8 pings and pongs in a second"),
    "a message that does not end": (frame(b'{"id"', 1), 1008, "longer than 0.3 s"),
    "a frame that does not end": (frame(b"x" * 200)[:100], 1008, "longer than 0.3 s"),
    "nothing at all": (b"", 1008, "not even a pong"),
    "nothing but mistakes": (BAD * 5, 1008, "more than 4 messages"),
    "no mask": (frame(b"{}", mask=b""), 1002, "masks its frames"),
    "compressed": (frame(b"{}", FIN | 0x40 | 1), 1002, "Reserved bit"),
    "no known opcode": (frame(b"{}", FIN | 3), 1002, "Invalid opcode"),
    "a long ping": (frame(b"x" * 126, FIN | PING), 1002, "Control frame"),
    "a ping in fragments": (frame(b"x", PING), 1002, "fragment control frame"),
    "the rest of no message": (frame(b"x", FIN), 1002, "CONTINUATION"),
    "a message inside another": (frame(b"x", 1) + frame(b"{}"), 1002, "CONTINUATION"),
    "a length longer than it must be": (b"\x81\xfe\x00\x01" + frame(b"x")[2:], 1002, "more bytes than it needs"),
    "the last word of no code": (frame(b"\x00", FIN | CLOSE), 1002, "CLOSE"),
}


@pytest.mark.parametrize(("raw", "code", "reason"), RUDE.values(), ids=RUDE)
async def test_every_limit_has_its_code_and_says_its_name(house: House, raw: bytes, code: int, reason: str) -> None:
    async with open_street(house, bounds=HASTY, config=Config(port=0, grace_s=2.0, max_body_bytes=65_536)) as street:
        async with rude(street) as stream:
            await stream.push(raw)
            told = await stream.end()
            assert told[0] == code and reason in told[1]
        await nobody_left(street)
        assert (await street.call(READ)).status == 200


async def test_a_quiet_client_that_answers_pings_keeps_its_stream(house: House) -> None:
    async with open_street(house, bounds=HASTY) as street, rude(street) as stream:
        for _ in range(3):
            assert await stream.frame() == (PING, b"")
            await stream.push(frame(b"", FIN | PONG))
        await stream.say(id="1", **READ)
        assert (await stream.heard())["id"] == "1"


async def test_a_client_that_does_not_read_is_ended_and_its_receipts_are_not_lost(house: House) -> None:
    big = Puppet(lambda order: {"text": "x" * 900_000})
    async with open_street(house, big, bounds=HASTY) as street:
        async with rude(street) as stream:
            stream.stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4096)
            for number in range(12):
                await stream.say(id=str(number), tool="read", arguments={}, session_id="deaf")
            await nobody_left(street)
        found = await receipts(street, "deaf")
    assert len(found) == 12 and {receipt["status"] for receipt in found} == {"SUCCESS"}


# -- how it ends ------------------------------------------------------------------------------------------------------


async def test_a_clients_last_word_is_answered(street: Street) -> None:
    async with rude(street) as stream:
        await stream.push(frame(b"\x03\xe8bye", FIN | CLOSE))
        assert (await stream.end())[0] == 1000
    await nobody_left(street)


@pytest.mark.parametrize("terms", [{}, {"idempotency_key": "k"}], ids=["a call", "a call with a key"])
async def test_the_call_of_a_client_that_vanishes_goes_on(house: House, terms: dict[str, str]) -> None:
    hold = Hold()
    puppet = Puppet(hold)
    async with open_street(house, puppet) as street:
        async with rude(street) as stream:
            await stream.say(id="1", session_id="gone", **READ, **terms)
            await puppet.began.wait()
        hold.let_go()
        await nobody_left(street)
        with trio.fail_after(SOON_S):
            while not (found := await receipts(street, "gone")):  # noqa: ASYNC110 - rings no bell
                await trio.sleep(0.01)
    assert [receipt["status"] for receipt in found] == ["SUCCESS"]


async def test_a_client_that_only_says_no_more_still_hears_its_answers(house: House) -> None:
    hold = Hold()
    puppet = Puppet(hold, awaited=3)
    async with open_street(house, puppet) as street, rude(street) as stream:
        for number in range(3):
            await stream.say(id=str(number), **READ)
        await stream.stream.send_eof()
        await puppet.began.wait()
        hold.let_go()
        assert {(await stream.heard())["id"] for _ in range(3)} == {"0", "1", "2"}
        assert (await stream.end())[0] == 1000


async def test_a_door_that_closes_answers_what_is_in_flight_and_takes_nothing_more(house: House) -> None:
    hold = Hold()
    puppet = Puppet(hold)
    async with open_street(house, puppet) as street, rude(street) as stream, rude(street) as idle:
        await stream.say(id="1", **READ)
        await puppet.began.wait()
        street.door.close()
        assert (await idle.end())[0] == 1012
        await stream.say(id="2", **READ)
        hold.let_go()
        assert (await stream.heard())["id"] == "1"
        code, reason = await stream.end()
        assert (code, "reconciled" in reason) == (1012, True)
        with trio.fail_after(SOON_S):
            await street.door.ended.wait()
    assert len(puppet.orders) == 1


async def test_a_call_in_flight_when_the_kernel_breaks_is_told_that_its_outcome_is_unknown(house: House) -> None:
    hold, said = Hold(), list[Any]()
    puppet = Puppet(hold)

    async def talk(street: Street, task_status: trio.TaskStatus[None]) -> None:
        async with rude(street) as stream:
            await stream.say(id="1", **READ)
            task_status.started()
            said.append(await stream.heard())
            said.append((await stream.end())[0])

    async with trio.open_nursery() as nursery:
        with pytest.raises(KernelStopped):
            async with open_street(house, puppet) as street:
                await nursery.start(talk, street)
                await puppet.began.wait()
                house.disk.fail_at(len(house.disk.batches) + 1)
                hold.let_go()
                await trio.sleep_forever()
    told, code = said
    assert (told["id"], told["status"], told["reason_code"]) == ("1", 503, "KERNEL_STOPPED")
    assert (told["outcome_unknown"], code) == (True, 1012)


async def test_a_stream_that_does_not_read_keeps_no_kernel_from_ending(house: House) -> None:
    big = Puppet(lambda order: {"text": "x" * 900_000}, awaited=8)
    with trio.fail_after(SOON_S):
        async with open_street(house, big, config=Config(port=0, grace_s=0.2)) as street, rude(street) as stream:
            for number in range(12):
                await stream.say(id=str(number), tool="read", arguments={})
            await big.began.wait()


# -- following receipts -----------------------------------------------------------------------------------------------


async def test_receipts_are_told_as_they_become_durable_until_the_client_has_enough(street: Street) -> None:
    before = (await street.call({**READ, "session_id": "f"})).receipt
    async with rude(street) as stream:
        await stream.say(id="f", follow={"after": 0, "session_id": "f"})
        assert (await stream.heard())["event"] == "position"
        assert (await stream.heard())["receipt"] == before
        await stream.say(id="1", **READ, session_id="f")
        told = [await stream.heard(), await stream.heard()]
        (news,) = (one for one in told if one["id"] == "f")
        (answer,) = (one for one in told if one["id"] == "1")
        assert (news["event"], news["receipt"]) == ("receipt", answer["receipt"])
        await stream.say(id="f", unfollow=True)
        last = await stream.heard()
        assert (last["id"], last["event"], last["seq"]) == ("f", "ended", news["seq"])
        await stream.say(id="f", unfollow=True)
        assert (await stream.heard())["status"] == 404


async def test_another_tenants_receipts_are_not_told(street: Street) -> None:
    async with rude(street, street.rival) as stream, rude(street, street.admin) as operator:
        await stream.say(id="f", follow={"after": 0})
        await operator.say(id="f", follow={"after": 0})
        for one in (stream, operator):
            assert (await one.heard())["event"] == "position"
        await street.call(READ)
        await stream.say(id="1", **READ)
        told = [await stream.heard(), await stream.heard()]
        assert {one["receipt"]["tenant"] for one in told} == {"globex"}
        assert {(await operator.heard())["receipt"]["tenant"] for _ in range(2)} == {"acme", "globex"}


FOLLOWS: dict[str, tuple[Any, int, str]] = {
    "no object": (1, 400, "/follow"),
    "an unknown filter": ({"colour": "red"}, 400, "/follow"),
    "a number below 0": ({"after": -1}, 400, "/follow/after"),
    "no number": ({"after": True}, 400, "/follow/after"),
    "no string": ({"tool": 1}, 400, "/follow/tool"),
    "another tenant": ({"tenant": "globex"}, 403, "/follow/tenant"),
}


@pytest.mark.parametrize(("follow", "status", "place"), FOLLOWS.values(), ids=FOLLOWS)
async def test_what_cannot_be_followed_is_refused_at_its_place(
    street: Street, follow: Any, status: int, place: str
) -> None:
    async with rude(street) as stream:
        await stream.say(id="f", follow=follow)
        told = await stream.heard()
        assert (told["id"], told["status"], told["place"]) == ("f", status, place)


async def test_one_stream_follows_so_much_and_each_under_an_id_of_its_own(house: House) -> None:
    async with open_street(house, bounds=Bounds(follows_on_stream=2)) as street, rude(street) as stream:
        for request_id, status in (("a", None), ("b", None), ("a", 409), ("c", 429)):
            await stream.say(id=request_id, follow={})
            told = await stream.heard()
            assert (told["id"], told.get("status")) == (request_id, status)
        await stream.say(id="a", unfollow=1)
        assert (await stream.heard())["place"] == "/unfollow"


async def test_no_more_is_followed_than_there_is_room_for(street: Street) -> None:
    async with rude(street) as one, rude(street) as two, rude(street) as three:
        for stream in (one, two):
            for request_id in "abcd":
                await stream.say(id=request_id, follow={})
                assert (await stream.heard())["event"] == "position"
        await three.say(id="a", follow={})
        told = await three.heard()
        assert (told["event"], told["status"], told["reason_code"]) == ("refused", 503, "OVERLOADED")


# -- what is said of it -----------------------------------------------------------------------------------------------


def test_the_document_says_the_limits_that_there_are() -> None:
    document = (ROOT / "docs" / "stream.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|$", document, re.MULTILINE))
    said = {name: [int(number) for number in re.findall(r"\d+", text)] for name, text in rows.items()}
    assert said["calls in flight on one stream"] == [BOUNDS.calls_on_stream]
    assert said["answers that wait to be read"] == [UNTOLD]
    assert said["one message"] == [ENVELOPE_DEPTH, BOUNDS.fragments, BOUNDS.body_s]
    assert said["pings and pongs"] == [BOUNDS.controls_per_s]
    assert said["messages of which no call can be made"] == [BOUNDS.bad_messages]
    assert said["silence"] == [BOUNDS.quiet_s, BOUNDS.pong_s]
    assert said["a client that does not read"] == [BOUNDS.write_s]
    assert said["streams"] == [BOUNDS.streams, BOUNDS.streams_of_tenant, 503]
    assert said["subscriptions"] == [BOUNDS.follows_on_stream, MAX_TAILS, MAX_OF_TENANT]
    assert {code for _, code, _ in RUDE.values()} | {1000, 1012} <= {int(name) for name in rows if name.isdigit()}
