"""A tunnel that was allowed: what goes through it, what bounds it, and what its receipt says."""

from __future__ import annotations

import json
import re
import socket

import pytest
import trio

from actors.cli.freeze import Stop, sign
from actors.commands.freeze import Freeze
from helm.crypto.canonical import canonical
from helm.crypto.hashing import sha256
from tests.actors.doors.connect.lane import POLICY, Lane, Names, basic, echo, open_lane, place
from tests.actors.doors.street import SOON_S, heard
from tests.actors.kit import House


async def test_a_tunnel_carries_both_ways_and_its_receipt_counts_them(house: House) -> None:
    async with open_lane(house) as lane, place(echo) as port:
        async with lane.tunnel(f"127.0.0.1:{port}") as stream:
            await stream.send_all(b"x" * 5000)
            await stream.send_eof()
            assert await heard(stream) == b"x" * 5000
        (receipt,) = await lane.receipts()
    assert (receipt["status"], receipt["verdict"], receipt["door"]) == ("SUCCESS", "ALLOW", "connect")
    assert (receipt["tenant"], receipt["principal"]) == ("acme", "agent")
    assert receipt["output"] == {
        "address": f"127.0.0.1:{port}",
        "bytes_received": 5000,
        "bytes_sent": 5000,
        "destination": f"127.0.0.1:{port}",
        "ended_by": "client",
        "network_proof": "destination_allowlist_only",
        "payload_inspection": "opaque_connect",
    }


async def test_bytes_behind_the_head_go_through_the_tunnel_first(house: House) -> None:
    async with open_lane(house) as lane, place(echo) as port:
        async with lane.tunnel(f"127.0.0.1:{port}", early=b"early ") as stream:
            await stream.send_all(b"and late")
            await stream.send_eof()
            assert await heard(stream) == b"early and late"
        (receipt,) = await lane.receipts()
    assert receipt["output"]["bytes_sent"] == len(b"early and late")


async def test_a_side_that_says_no_more_still_hears(house: House) -> None:
    async def answers_after_the_end(stream: trio.SocketStream) -> None:
        said = await heard(stream)
        await stream.send_all(said * 2)

    async with open_lane(house) as lane, place(answers_after_the_end) as port:
        async with lane.tunnel(f"127.0.0.1:{port}") as stream:
            await stream.send_all(b"half")
            await stream.send_eof()
            assert await heard(stream) == b"halfhalf"
        (receipt,) = await lane.receipts()
    assert (receipt["output"]["bytes_sent"], receipt["output"]["bytes_received"]) == (4, 8)


async def test_a_destination_that_says_no_more_is_still_told(house: House) -> None:
    told: list[bytes] = []

    async def ends_first(stream: trio.SocketStream) -> None:
        await stream.send_eof()
        told.append(await heard(stream))

    async with open_lane(house) as lane, place(ends_first) as port, lane.tunnel(f"127.0.0.1:{port}") as stream:
        assert await stream.receive_some() == b""
        await stream.send_all(b"late words")
        await stream.send_eof()
        (receipt,) = await lane.receipts()
    assert told == [b"late words"]
    assert receipt["output"]["ended_by"] == "destination"


@pytest.mark.parametrize("why", ["max_sent_bytes", "max_received_bytes"])
async def test_a_tunnel_that_meets_its_ceiling_breaks(house: House, why: str) -> None:
    lowered = re.sub(f"{why} = [0-9]+", f"{why} = 40000", POLICY)
    async with open_lane(house, policy=lowered) as lane, place(echo) as port:
        async with lane.tunnel(f"127.0.0.1:{port}") as stream, trio.open_nursery() as nursery:
            nursery.start_soon(rush, stream, b"x" * 90_000)
            with pytest.raises(trio.BrokenResourceError), trio.fail_after(SOON_S):
                while await stream.receive_some():
                    pass
        (receipt,) = await lane.receipts()
    assert receipt["output"]["ended_by"] == why
    assert receipt["output"]["bytes_" + why.split("_")[1]] <= 40_000
    assert receipt["status"] == "SUCCESS"


async def rush(stream: trio.SocketStream, raw: bytes) -> None:
    """Send until the other side breaks the connection."""
    try:
        await stream.send_all(raw)
    except trio.BrokenResourceError:
        pass


async def test_a_tunnel_through_which_nothing_goes_is_ended(house: House) -> None:
    idle = POLICY.replace("idle_s = 60", "idle_s = 1")
    async with open_lane(house, policy=idle) as lane, place(echo) as port:
        async with lane.tunnel(f"127.0.0.1:{port}") as stream:
            with pytest.raises(trio.BrokenResourceError), trio.fail_after(SOON_S):
                await stream.receive_some()
        (receipt,) = await lane.receipts()
    assert receipt["output"]["ended_by"] == "idleness"


async def test_a_tunnel_has_the_lifetime_of_its_tool(house: House) -> None:
    short = POLICY.replace("timeout_ms = 60000", "timeout_ms = 4000")
    async with open_lane(house, policy=short) as lane, place(echo) as port:
        async with lane.tunnel(f"127.0.0.1:{port}") as stream:
            with pytest.raises(trio.BrokenResourceError), trio.fail_after(SOON_S):
                await stream.receive_some()
        (receipt,) = await lane.receipts()
    assert (receipt["status"], receipt["output"]["ended_by"]) == ("SUCCESS", "lifetime")


async def freeze(lane: Lane) -> None:
    """Stop everything."""
    signed = sign(Stop("freeze", "global", "", "a test"), lane.house.place, 0)
    await lane.kernel.command(Freeze(signed.command, signed.signature, lane.kernel.parts.state.registry))


async def test_a_freeze_cuts_every_tunnel(house: House) -> None:
    async with open_lane(house) as lane, place(echo) as port:
        async with lane.tunnel(f"127.0.0.1:{port}") as stream:
            await stream.send_all(b"before")
            assert await stream.receive_some() == b"before"
            await freeze(lane)
            with pytest.raises(trio.BrokenResourceError), trio.fail_after(SOON_S):
                await stream.receive_some()
            (receipt,) = await lane.receipts()
        said = await lane.ask(f"127.0.0.1:{port}")
    assert (receipt["status"], receipt["reason_code"]) == ("INDETERMINATE", "SYSTEM_FROZEN")
    assert "6 bytes sent and 6 received" in last_reason(house)
    assert (said.status, said.refusal["reason_code"]) == (403, "SYSTEM_FROZEN")


def last_reason(house: House) -> str:
    """Return why the last effect ended as it did."""
    payloads = [json.loads(row)["node"]["payload"] for row in house.disk.rows]
    return str([payload["reason"] for payload in payloads if payload["type"] == "EFFECT"][-1])


async def test_a_kernel_that_ends_cuts_every_tunnel_and_seals_it(house: House) -> None:
    async with place(echo) as port:
        async with open_lane(house) as lane:
            stream = await lane.connect()
            await stream.send_all(lane.head(f"127.0.0.1:{port}"))
            await stream.receive_some()
        with pytest.raises(trio.BrokenResourceError), trio.fail_after(SOON_S):
            while await stream.receive_some():
                pass
        await stream.aclose()
    state, log = await house.read_simulated()
    assert log.statuses() == {"INDETERMINATE": 1}
    assert state.open_intents == {}


async def test_what_a_tunnel_may_send_is_reserved_of_the_window(house: House) -> None:
    budget = '[[budgets]]\nid = "out"\nsubject = "*"\negress_limit_bytes = 250000\nwindow_s = 3600\n\n[connectors'
    async with open_lane(house, policy=POLICY.replace("[connectors", budget, 1)) as lane, place(echo) as port:
        for _ in range(2):
            async with lane.tunnel(f"127.0.0.1:{port}"):
                pass
        said = await lane.ask(f"127.0.0.1:{port}")
    assert (said.status, said.refusal["reason_code"]) == (403, "BUDGET_EXCEEDED")


async def test_a_client_that_can_only_say_a_password_is_known_by_its_key(house: House) -> None:
    async with open_lane(house) as lane, place(echo) as port:
        for user in ("helm", "conversation-17"):
            async with lane.tunnel(f"127.0.0.1:{port}", key="", proxy_authorization=basic(user, lane.agent)):
                pass
        first, second = await lane.receipts(2)
    assert first["session_id"].startswith("auto-")
    assert second["session_id"] == "conversation-17"


async def test_ipv6_is_a_place_like_any_other(house: House) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        async with open_lane(house) as lane, place(echo, host="::1") as port:
            async with lane.tunnel(f"[::1]:{port}") as stream:
                await stream.send_all(b"six")
                assert await stream.receive_some() == b"six"
            (receipt,) = await lane.receipts()
    except* OSError:
        pytest.skip("no IPv6 loopback here")
    else:
        assert receipt["output"]["address"] == f"[::1]:{port}"


async def test_the_output_is_what_the_receipt_signs(house: House) -> None:
    async with open_lane(house, names=Names({"a.example.com": [["127.0.0.1"]]})) as lane, place(echo) as port:
        async with lane.tunnel(f"A.Example.COM.:{port}"):
            pass
        (receipt,) = await lane.receipts()
    assert receipt["output"]["destination"] == f"a.example.com:{port}"
    state, _ = await house.read_simulated()  # the fold checks every output against its receipt
    assert state.open_intents == {}
    assert receipt["output_hash"] == sha256(canonical(receipt["output"]))
