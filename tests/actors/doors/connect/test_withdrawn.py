"""A tunnel outlives its decision, and not its permission: what takes that away cuts it, with a receipt (T9)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

from actors.cli.freeze import Stop, sign
from actors.commands.bearers import RevokeBearerKey
from actors.commands.freeze import Freeze
from actors.commands.sessions import CloseSession, OpenSession
from helm.guardian.intake import Caller
from tests.actors.doors.connect.lane import POLICY, Lane, Names, echo, open_lane, place
from tests.actors.doors.connect.test_tunnels import last_reason
from tests.actors.doors.issuing import policy as trusting
from tests.actors.doors.issuing import token
from tests.actors.doors.street import SOON_S
from tests.actors.kit import House
from tests.actors.overlaying import narrow

NAMED = "a.example.com"


def changed(old: str = "", new: str = "", text: str = POLICY) -> str:
    """Return the next policy, with something else in it."""
    assert old in text
    return text.replace("epoch = 1\n", "epoch = 2\n", 1).replace(old, new, 1)


async def activate(lane: Lane, text: str) -> None:
    """Put another policy in force."""
    await lane.kernel.activate(lane.house.sign(text), lane.kernel.executor.connectors)


@asynccontextmanager
async def carrying(house: House, policy: str = POLICY, **more: Any) -> AsyncIterator[tuple[Lane, trio.SocketStream]]:
    """Yield a proxy, and a tunnel through it to a name, that has carried something."""
    names = Names({NAMED: [["127.0.0.1"]]})
    async with (
        open_lane(house, policy=policy, names=names) as lane,
        place(echo) as port,
        lane.tunnel(f"{NAMED}:{port}", **more) as stream,
    ):
        await say(stream)
        yield lane, stream


async def say(stream: trio.SocketStream) -> None:
    """Have the other end repeat something."""
    with trio.fail_after(SOON_S):
        await stream.send_all(b"hello!")
        assert await stream.receive_some() == b"hello!"


async def cut(lane: Lane, stream: trio.SocketStream) -> dict[str, Any]:
    """Wait until the tunnel is broken; return its receipt."""
    await broken(stream)
    return (await lane.receipts())[0]


async def broken(stream: trio.SocketStream) -> None:
    """Wait until a tunnel breaks."""
    with pytest.raises(trio.BrokenResourceError), trio.fail_after(SOON_S):
        await stream.receive_some()


NO_LONGER = [
    pytest.param('"*.example.com"', '"*.example.net"', "DATA_EGRESS_BLOCKED", id="the name is not declared"),
    pytest.param('"127.0.0.9"]', f'"127.0.0.9", "{NAMED}"]', "DATA_EGRESS_BLOCKED", id="the name is denied"),
    pytest.param('"127.0.0.9"]', '"127.0.0.0/8"]', "DATA_EGRESS_BLOCKED", id="its address is denied"),
    pytest.param("allow_private = true\n", "", "DATA_EGRESS_BLOCKED", id="its address is private"),
    pytest.param('principals = ["*"]', 'principals = ["other"]', "INSUFFICIENT_PRIVILEGE", id="the agent is not named"),
    pytest.param('max_risk_tier = "T2"', 'max_risk_tier = "T1"', "PDP_DENY", id="a ceiling forbids it"),
    pytest.param("[tools.tunnel]", "[tools.other]", "NO_POLICY_DEFINED", id="the tool is gone"),
    pytest.param(
        '{"type": "string"}}', '{"type": "string", "const": "b"}}', "SCHEMA_VIOLATION", id="its argument is refused"
    ),
]


@pytest.mark.parametrize(("old", "new", "code"), NO_LONGER)
async def test_a_policy_that_no_longer_allows_a_tunnel_cuts_it(house: House, old: str, new: str, code: str) -> None:
    async with carrying(house) as (lane, stream):
        await activate(lane, changed(old, new))
        receipt = await cut(lane, stream)
    assert (receipt["verdict"], receipt["status"], receipt["reason_code"]) == ("ALLOW", "INDETERMINATE", code)
    assert "6 bytes sent and 6 received; it is allowed no longer: " in last_reason(house)


async def test_a_policy_that_still_allows_it_leaves_a_tunnel_alone(house: House) -> None:
    async with carrying(house) as (lane, stream):
        await activate(lane, changed("max_sent_bytes = 100000", "max_sent_bytes = 90000"))
        await say(stream)
        await stream.send_eof()
        (receipt,) = await lane.receipts()
    assert (receipt["status"], receipt["policy_epoch"]) == ("SUCCESS", 1)


async def test_an_overlay_that_takes_the_tool_away_cuts_its_tunnels(house: House) -> None:
    async with carrying(house) as (lane, stream):
        await narrow(lane.kernel, house.place, remove_tools=["tunnel"])
        receipt = await cut(lane, stream)
    assert receipt["reason_code"] == "NO_POLICY_DEFINED"


async def test_a_session_that_is_closed_takes_its_tunnels_with_it_and_no_others(house: House) -> None:
    async with (
        carrying(house, x_helm_session="mine") as (lane, stream),
        place(echo) as port,
        lane.tunnel(f"127.0.0.1:{port}", x_helm_session="yours") as other,
    ):
        await lane.kernel.command(CloseSession(Caller(tenant="acme", principal="agent", session_id="mine")))
        await broken(stream)
        await say(other)
        await other.send_eof()
        receipt, kept = await lane.receipts(2)
    assert (receipt["session_id"], receipt["reason_code"]) == ("mine", "IDENTITY_ISOLATION_VIOLATION")
    assert (kept["session_id"], kept["status"]) == ("yours", "SUCCESS")


async def test_an_agent_that_is_killed_loses_its_tunnels(house: House) -> None:
    async with carrying(house) as (lane, stream):
        stop = sign(Stop("freeze", "agent", "acme/agent", "a test"), house.place, 0)
        await lane.kernel.command(Freeze(stop.command, stop.signature, lane.kernel.parts.state.registry))
        receipt = await cut(lane, stream)
    assert receipt["reason_code"] == "AGENT_KILLED"
    assert last_reason(house).endswith("; a freeze came")


def tunnels_of_issuers() -> str:
    """Return a policy that takes tokens, and has the tool of tunnels."""
    return trusting(base=POLICY)


async def test_a_token_whose_key_the_policy_takes_away_takes_its_tunnels_with_it(house: House) -> None:
    text = tunnels_of_issuers()
    async with carrying(house, text, key=token()) as (lane, stream):
        await activate(lane, changed(text=text))
        await say(stream)  # the key is still there
        await activate(lane, changed("epoch = 2\n", "epoch = 3\n", changed('"one"', '"two"', text)))
        receipt = await cut(lane, stream)
    assert (receipt["principal"], receipt["reason_code"]) == ("oidc:corp:alice", "IDENTITY_ISOLATION_VIOLATION")
    assert last_reason(house).endswith("; its credential counts no more")


async def test_a_key_that_is_taken_back_takes_its_tunnels_with_it_and_no_others(house: House) -> None:
    async with (
        carrying(house) as (lane, stream),
        place(echo) as port,
        lane.tunnel(f"127.0.0.1:{port}", key=lane.rival) as other,
    ):
        keys = lane.door.who.keys
        (key,) = [one for one in keys.everyone if one.tenant == "acme"]
        await lane.kernel.command(RevokeBearerKey(key.name, key, "it leaked", "operator", keys))
        await broken(stream)
        await say(other)
        await other.send_eof()
        receipt, kept = await lane.receipts(2)
    assert (receipt["tenant"], receipt["reason_code"]) == ("acme", "IDENTITY_ISOLATION_VIOLATION")
    assert (kept["tenant"], kept["status"]) == ("globex", "SUCCESS")


async def test_a_command_that_concerns_nobody_leaves_a_tunnel_alone(house: House) -> None:
    async with carrying(house) as (lane, stream):
        await lane.kernel.command(OpenSession(Caller(tenant="acme", principal="agent", session_id="another")))
        await say(stream)
