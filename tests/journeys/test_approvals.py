"""A payment that two of three approvers must agree to, from the first key to the pack that proves it."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.doors.mcp.result import EVIDENCE
from actors.stream_client import open_stream
from tests.actors.approvers import Approver
from tests.actors.cli.shell import Ended, helm
from tests.actors.doors.mcp.test_http import ENVELOPE, MODERN, post, request
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.journeys.gateway import Gateway, House, build, gateway

NAMES = ("alice", "bob", "carol")


async def run(*words: str, **environment: str) -> Ended:
    """Run a command as somebody at a shell would."""
    ended = await trio.to_thread.run_sync(partial(helm, *words, **environment))
    assert ended.code == 0, ended.err
    return ended


def policy_of(keys: dict[str, str]) -> str:
    """Return the policy in which two of these must agree to a payment."""
    table = "".join(f'[approvers.{name}]\nkeys = ["{key}"]\n\n' for name, key in keys.items())
    rule = "approval = { required = true, quorum = 2, timelock_s = 60, expires_s = 3600 }"
    text = POLICY.replace("[p0]", f"{table}[p0]", 1)
    return text.replace("approval = { required = true, expires_s = 600 }", rule, 1)


async def add_approvers(house: House, folder: Path) -> dict[str, str]:
    """Add three approvers' keys to the log, each in a file of its own."""
    keys = {}
    for name in NAMES:
        where = ("--new-key", str(folder / f"{name}.pem"), "--reason", f"{name} approves", "--json")
        told = (await run("trust", "add", "approval", *where, "--data-dir", str(house.place.path))).json()
        keys[name] = key_id_in(told)
    return keys


def key_id_in(told: Any) -> str:
    """Return the key that `helm trust add` tells of."""
    found: str = told["key_id"]
    return found


async def agree(at: Gateway, folder: Path, name: str, key_id: str, approval_id: str) -> str:
    """Fetch the offer, sign it where the key is, hand it in; return the state it came to."""
    there = ("--server", at.url, "--data-dir", str(at.house.place.path))
    key = {"HELM_API_KEY": at.house.keys["operator"]}
    offer, signed = str(folder / f"{name}.offer"), str(folder / f"{name}.signed")
    await run("approvals", "challenge", approval_id, "--key-id", key_id, "--out", offer, *there, **key)
    phrase = json.loads(await trio.Path(offer).read_text())["phrase"]
    said = ("--key", str(folder / f"{name}.pem"), "--reason", f"{name} looked", "--confirm", phrase)
    await run("approvals", "sign", offer, *said, "--out", signed)
    state: str = (await run("approvals", "approve", signed, "--json", *there, **key)).json()["state"]
    return state


async def test_a_payment_of_two_of_three_approvers_is_made_once_and_proved(tmp_path: Path) -> None:
    house, puppet = build(tmp_path / "data"), Puppet()
    keys = await add_approvers(house, tmp_path)
    connectors = {"local": puppet, "other": Puppet()}
    async with gateway(house, house.sign(policy_of(keys)), connectors) as at:
        asked = await at.call("asking", {"cents": 5})
        approval_id = asked.json()["approval_id"]
        assert (asked.status, asked.headers["location"]) == (202, f"/api/v1/approvals/{approval_id}")
        locked = await at.call("asking", {"cents": 5}, approval_id=approval_id)
        assert locked.json()["reason_code"] == "ERR_APPROVAL_TIMELOCK_ACTIVE"
    house.clock.ahead_ms = 61_000
    async with gateway(house, house.sign(policy_of(keys)), connectors) as at:  # the timelock ran on meanwhile
        with trio.fail_after(60):
            while not at.kernel.memory.approvals.ceremonies[approval_id].unlocked:  # noqa: ASYNC110 - an office's turn
                await trio.sleep(0.01)
        assert await agree(at, tmp_path, "alice", keys["alice"], approval_id) == "PENDING"
        assert (await at.call("asking", {"cents": 5}, approval_id=approval_id)).status == 202
        assert await agree(at, tmp_path, "carol", keys["carol"], approval_id) == "APPROVED"
        assert (await at.call("asking", {"cents": 500}, approval_id=approval_id)).status == 202
        paid = await at.call("asking", {"cents": 5}, approval_id=approval_id)
        assert (paid.status, len(puppet.orders)) == (200, 1)
        assert (await at.call("asking", {"cents": 5}, approval_id=approval_id)).status == 403
    pack = str(tmp_path / "pack.tar")
    place = ("--data-dir", str(house.place.path))
    await run("evidence", "export", "--tenant", "default", "--session", "of-agent", "-o", pack, *place)
    told = await run("verify", pack, "--log-id", house.place.log_id)
    assert "AUTHENTICATED" in told.out
    assert len(puppet.orders) == 1


async def over_http(at: Gateway, approval_id: str) -> str:
    named = {"approval_id": approval_id} if approval_id else {}
    return (await at.call("asking", {"n": 1}, **named)).body.decode()


async def over_a_stream(at: Gateway, approval_id: str) -> str:
    named = {"approval_id": approval_id} if approval_id else {}
    async with open_stream(at.url, at.house.keys["agent"]) as client:
        return json.dumps((await client.call("asking", {"n": 1}, session_id="streamed", **named)).members)


async def over_mcp(at: Gateway, approval_id: str) -> str:
    meta = ENVELOPE | ({f"{EVIDENCE}approval_id": approval_id} if approval_id else {})
    params = {"name": "asking", "arguments": {"n": 1}, "_meta": meta}
    headers = {"mcp_protocol_version": MODERN, "mcp_method": "tools/call", "mcp_name": "asking"}
    reply = await post(at, request("tools/call", params), accept="application/json, text/event-stream", **headers)
    return reply.text


@pytest.mark.parametrize("ask", [over_http, over_a_stream, over_mcp])
async def test_an_approval_is_named_through_every_door(
    ask: Callable[[Gateway, str], Awaitable[str]], tmp_path: Path
) -> None:
    house, puppet = build(tmp_path / "data"), Puppet()
    async with gateway(house, house.sign(POLICY), {"local": puppet, "other": Puppet()}) as at:
        approval_id = re.findall(r"apr_[0-9a-f]{32}", await ask(at, ""))[0]
        await Approver("whoever", house.place.approval_key()).say(at.kernel, approval_id)
        assert puppet.orders == []
        assert "rcpt_" in await ask(at, approval_id)
        assert len(puppet.orders) == 1
        await ask(at, approval_id)
    assert len(puppet.orders) == 1
