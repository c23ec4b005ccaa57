"""Clients that must not get a tunnel: each is told why, and whoever is known leaves a receipt."""

from __future__ import annotations

import attrs
import pytest
import trio

from actors.doors.bounds import BOUNDS
from actors.doors.connect.head import MAX_HEAD_BYTES
from actors.keys.bearer import KeyClass
from tests.actors.doors.connect.lane import POLICY, Names, basic, echo, open_lane, place, push
from tests.actors.doors.street import SOON_S, heard
from tests.actors.kit import House

NOT_A_PLACE = [
    "evil.test:443",
    "10.0.0.1:443",
    "127.0.0.9:443",  # denied, although it is allowed to be private
    "169.254.169.254:80",
    "[::ffff:169.254.169.254]:80",
    "2130706433:443",  # 127.0.0.1 as one number
    "0x7f000001:443",
    "0177.0.0.1:443",
    "127.1:443",
    "127.0.0.1.evil.test:443",
    "user@127.0.0.1:443",
    "127.0.0.1@evil.test:443",
    "a.example.com:443@evil.test:443",
    "one.test:4434",
    "a..example.com:443",
    "example.com:443",  # the star stands for a label
    "a.example.com:0",
    "a.example.com:65536",
    "a.example.com:-1",
    "a.example.com:0443",
    "::1:443",
    "[::1%25lo]:443",
    "*:443",
    "a.example.com\\.evil.test:443",
    "%61.example.com:443",
    "a.example.com:443#.evil.test",
    "a.example.com:443/path",
]


@pytest.mark.parametrize("target", NOT_A_PLACE)
async def test_what_is_not_among_the_declared_places_is_refused_with_a_receipt(house: House, target: str) -> None:
    async with open_lane(house) as lane:
        said = await lane.ask(target)
        (receipt,) = await lane.receipts()
        assert lane.names.asked == []
    assert (said.status, said.refusal["reason_code"]) == (403, "DATA_EGRESS_BLOCKED")
    assert said.headers["x-helm-receipt-id"] == receipt["receipt_id"] == said.refusal["receipt_id"]
    assert (receipt["verdict"], receipt["status"], receipt["principal"]) == ("DENY", "DENIED", "agent")


@pytest.mark.parametrize("target", ["a.example.com", "https://a.example.com:443", "https://a.example.com", "[::1]"])
async def test_a_target_that_is_not_host_and_port_is_refused_with_a_receipt(house: House, target: str) -> None:
    async with open_lane(house) as lane:
        said = await lane.ask(target)
        await lane.receipts()
    assert (said.status, said.refusal["reason_code"]) == (400, "ENVELOPE_INVALID")


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "TRACE", "connect"])
async def test_another_method_is_refused_with_a_receipt(house: House, method: str) -> None:
    async with open_lane(house) as lane:
        said = await lane.ask("http://a.example.com/", method=method)
        (receipt,) = await lane.receipts()
    assert (said.status, said.headers["allow"]) == (405, "CONNECT")
    assert receipt["reason_code"] == "ENVELOPE_INVALID"


@pytest.mark.parametrize(
    ("address", "why"),
    [
        ("10.1.2.3", "DATA_EGRESS_BLOCKED"),
        ("127.0.0.1", "DATA_EGRESS_BLOCKED"),
        ("::ffff:127.0.0.1", "DATA_EGRESS_BLOCKED"),
        ("::ffff:10.0.0.1", "DATA_EGRESS_BLOCKED"),
        ("64:ff9b::7f00:1", "DATA_EGRESS_BLOCKED"),
        ("169.254.169.254", "DATA_EGRESS_BLOCKED"),
        ("fd00:ec2::254", "DATA_EGRESS_BLOCKED"),
        ("0.0.0.0", "DATA_EGRESS_BLOCKED"),
        ("224.0.0.1", "DATA_EGRESS_BLOCKED"),
        ("fe80::1%lo", "DATA_EGRESS_BLOCKED"),
    ],
)
async def test_a_declared_name_that_leads_home_is_not_dialled(house: House, address: str, why: str) -> None:
    names = Names({"a.example.com": [[address]]})
    async with open_lane(house, policy=POLICY.replace("allow_private = true\n", ""), names=names) as lane:
        said = await lane.ask("a.example.com:443")
        (receipt,) = await lane.receipts()
    assert (said.status, said.refusal["reason_code"]) == (403, why)
    assert receipt["status"] == "NOT_DISPATCHED"


async def test_one_forbidden_address_among_good_ones_refuses_the_name(house: House) -> None:
    names = Names({"a.example.com": [["127.0.0.1", "169.254.169.254"]]})
    async with open_lane(house, names=names) as lane:
        said = await lane.ask("a.example.com:443")
    assert (said.status, said.refusal["reason_code"]) == (403, "DATA_EGRESS_BLOCKED")


@pytest.mark.parametrize("address", ["127.0.0.9", "::ffff:127.0.0.9"])
async def test_a_denied_address_is_denied_behind_a_name_too(house: House, address: str) -> None:
    async with open_lane(house, names=Names({"a.example.com": [[address]]})) as lane:
        said = await lane.ask("a.example.com:443")
    assert (said.status, said.refusal["reason_code"]) == (403, "DATA_EGRESS_BLOCKED")
    assert "which is denied" in said.refusal["reason"]


async def test_a_name_that_rebinds_is_asked_once_and_dialled_where_it_was_checked(house: House) -> None:
    names = Names({"a.example.com": [["127.0.0.1"], ["169.254.169.254"]]})
    async with open_lane(house, names=names) as lane, place(echo) as port:
        async with lane.tunnel(f"a.example.com:{port}") as stream:
            await stream.send_all(b"hello")
            assert await stream.receive_some() == b"hello"
        (receipt,) = await lane.receipts()
        again = await lane.ask(f"a.example.com:{port}")
    assert names.asked == ["a.example.com"] * 2
    assert receipt["output"]["address"] == f"127.0.0.1:{port}"
    assert again.status == 403


async def test_nobody_at_the_destination_is_a_bad_gateway(house: House) -> None:
    async with place(echo) as port:
        pass
    async with open_lane(house) as lane:
        said = await lane.ask(f"127.0.0.1:{port}")
        (receipt,) = await lane.receipts()
    assert (said.status, said.refusal["reason_code"]) == (502, "ERR_CONNECTOR_ERROR")
    assert receipt["status"] == "NOT_DISPATCHED"


@pytest.mark.parametrize(
    "words", ["", "Bearer", "Bearer nobody", "Basic", "Basic !!!", basic("helm", "nobody"), "Digest x"]
)
async def test_a_client_without_a_key_is_asked_for_one_and_leaves_no_record(house: House, words: str) -> None:
    async with open_lane(house) as lane:
        more = {"proxy_authorization": words} if words else {}
        said = await lane.ask("127.0.0.1:443", key="", **more)
        assert lane.kernel.memory.sessions.bindings == {}
    assert said.status == 407
    assert "Basic" in said.headers["proxy-authenticate"]


async def test_a_client_that_writes_no_bearer_is_told_of_the_header_that_is_read_here(house: House) -> None:
    async with open_lane(house) as lane:
        said = await lane.ask("127.0.0.1:443", key="", proxy_authorization=lane.agent)
    assert "write `proxy-authorization: Bearer KEY`" in said.refusal["detail"]


async def test_a_key_in_the_header_of_servers_opens_nothing_here(house: House) -> None:
    async with open_lane(house) as lane:
        said = await lane.ask("127.0.0.1:443", key="", authorization=f"Bearer {lane.agent}")
    assert said.status == 407


async def test_an_operator_opens_no_tunnel(house: House) -> None:
    async with open_lane(house) as lane:
        assert (await lane.ask("127.0.0.1:443", key=lane.admin)).status == 403


async def test_two_keys_on_one_request_are_none(house: House) -> None:
    async with open_lane(house) as lane:
        twice = lane.head("127.0.0.1:443")[:-2] + f"Proxy-Authorization: Bearer {lane.rival}\r\n\r\n".encode()
        assert (await lane.shout(twice)).status == 400


async def test_a_session_of_another_principal_is_not_entered(house: House) -> None:
    async with open_lane(house) as lane, place(echo) as port:
        other = lane.door.who.keys.issue(KeyClass.TENANT, "acme", "other", at_ms=0)
        async with lane.tunnel(f"127.0.0.1:{port}", x_helm_session="mine"):
            pass
        said = await lane.ask(f"127.0.0.1:{port}", key=other, x_helm_session="mine")
    assert (said.status, said.refusal["reason_code"]) == (403, "IDENTITY_ISOLATION_VIOLATION")


async def test_a_tool_that_no_policy_declares_opens_nothing(house: House) -> None:
    async with open_lane(house, egress_tool="elsewhere") as lane:
        said = await lane.ask("127.0.0.1:443")
        await lane.receipts()
    assert (said.status, said.refusal["reason_code"]) == (403, "NO_POLICY_DEFINED")


async def test_a_tunnel_that_asks_for_a_human_is_no_tunnel_yet(house: House) -> None:
    asking = POLICY.replace("timeout_ms = 60000", "timeout_ms = 60000\napproval = { required = true }")
    async with open_lane(house, policy=asking) as lane:
        said = await lane.ask("127.0.0.1:443")
    assert (said.status, said.refusal["verdict"]) == (403, "ESCALATE")
    assert said.refusal["approval_id"]


@pytest.mark.parametrize("body", ["content-length: 5", "transfer-encoding: chunked"])
async def test_a_body_that_two_readers_may_end_differently_is_refused(house: House, body: str) -> None:
    async with open_lane(house) as lane, place(echo) as port:
        said = await lane.shout(lane.head(f"127.0.0.1:{port}")[:-2] + f"{body}\r\n\r\nhello".encode())
    assert (said.status, said.refusal["reason_code"]) == (400, "ENVELOPE_INVALID")


async def test_bytes_behind_a_refused_head_are_never_read_as_a_request(house: House) -> None:
    async with open_lane(house) as lane, place(echo) as port:
        smuggled = lane.head(f"127.0.0.1:{port}")
        said = await lane.shout(lane.head("evil.test:443") + smuggled)
        receipts = await lane.receipts()
    assert said.status == 403
    assert b"HTTP/1.1" not in said.body
    assert len(receipts) == 1


@pytest.mark.parametrize(
    "raw",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 64 + b"\r\n\r\n",  # TLS where HTTP is spoken
        b"CONNECT 127.0.0.1:443 HTTP/1.1\r\n\r\n",  # no Host
        b"CONNECT 127.0.0.1:443\r\n\r\n",
        b"CONNECT 127.0.0.1:443 HTTP/1.1\r\nhost: a\r\n folded\x00: b\r\n\r\n",
        b"CONNECT 127.0.0.1:443 extra HTTP/1.1\r\nhost: a\r\n\r\n",
        b"CONNECT \xff:443 HTTP/1.1\r\nhost: a\r\n\r\n",
    ],
)
async def test_what_is_not_a_request_is_told_so(house: House, raw: bytes) -> None:
    async with open_lane(house) as lane:
        assert (await lane.shout(raw)).status == 400


@pytest.mark.parametrize("shape", ["one header", "many headers", "a target", "no end"])
async def test_a_giant_head_is_not_read_to_its_end(house: House, shape: str) -> None:
    much = "x" * (2 * MAX_HEAD_BYTES)
    async with open_lane(house) as lane:
        raw = {
            "one header": lane.head("127.0.0.1:443", x_much=much),
            "many headers": lane.head("127.0.0.1:443", **{f"x_{n}": "y" * 50 for n in range(1000)}),
            "a target": lane.head(f"{much}:443"),
            "no end": lane.head("127.0.0.1:443", x_much=much)[:-4],
        }[shape]
        assert (await lane.shout(raw)).status == 431


async def test_a_head_that_comes_a_byte_at_a_time_is_not_waited_for(house: House) -> None:
    bounds = attrs.evolve(BOUNDS, idle_s=1.0)
    async with open_lane(house, bounds=bounds) as lane:
        stream = await lane.connect()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(dribble, stream, lane.head("127.0.0.1:443"))
            with trio.fail_after(SOON_S):
                said = await heard(stream)
            nursery.cancel_scope.cancel()
        await trio.aclose_forcefully(stream)
    assert said.startswith(b"HTTP/1.1 408 ")


async def dribble(stream: trio.SocketStream, raw: bytes) -> None:
    """Send one byte after the other, for as long as they are taken."""
    for place_of_byte in range(len(raw) - 1):
        await push(stream, raw[place_of_byte : place_of_byte + 1])
        await trio.sleep(0.1)


async def test_a_client_that_says_nothing_keeps_nobody_out(house: House) -> None:
    bounds = attrs.evolve(BOUNDS, idle_s=3.0, connections=2)
    async with open_lane(house, bounds=bounds) as lane, place(echo) as port:
        silent = [await lane.connect() for _ in range(2)]
        async with lane.tunnel(f"127.0.0.1:{port}"):
            pass
        for stream in silent:
            await trio.aclose_forcefully(stream)


async def test_a_principal_with_enough_tunnels_gets_no_more_and_others_still_do(house: House) -> None:
    async with open_lane(house) as lane, place(echo) as port:
        lane.door.max_of_principal = 1
        async with lane.tunnel(f"127.0.0.1:{port}"):
            said = await lane.ask(f"127.0.0.1:{port}")
            async with lane.tunnel(f"127.0.0.1:{port}", key=lane.rival):
                pass
        await lane.receipts(2)
        async with lane.tunnel(f"127.0.0.1:{port}"):
            pass
    assert (said.status, said.refusal["reason_code"]) == (503, "OVERLOADED")
    assert said.headers["retry-after"]


async def test_a_client_that_leaves_before_its_tunnel_is_open_leaves_a_receipt(house: House) -> None:
    async with open_lane(house) as lane, place(echo) as port:
        stream = await lane.connect()
        await stream.send_all(lane.head(f"127.0.0.1:{port}"))
        await trio.aclose_forcefully(stream)
        (receipt,) = await lane.receipts()
    assert receipt["status"] in ("SUCCESS", "NOT_DISPATCHED")
