"""An operator approves, asks about and revokes an MCP server, in a data directory and at a running gateway."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import trio

from actors.policy_file import read_signed
from tests.actors.cli.conftest import Made, made
from tests.actors.cli.shell import Ended, helm
from tests.actors.puppet import Puppet
from tests.journeys.gateway import House, SetClock, gateway

__all__ = ["made"]

SERVER = f"""
[connectors.small]
kind = "mcp"
command = ["{sys.executable}", "-c", "raise SystemExit('it was started')"]

[tools."small.sum"]
connector = "small"
operation = "sum"
effect_type = "write"
risk_tier = "T1"
principals = ["agent"]
pin = "sha256:{"1" * 64}"
input = '{{"type": "object", "properties": {{"a": {{"type": "integer"}}}}, "additionalProperties": false}}'
output = '{{}}'
"""


def declared(made: Made) -> Made:
    """Let the policy declare a server."""
    policy = made.path / "policy.toml"
    policy.write_text(policy.read_text() + SERVER)
    assert helm("policy", "sign", str(policy), *made.option).code == 0
    return made


def ask(made: Made, *words: str, **environment: str) -> Ended:
    return helm("mcp", "authorize-call", "sum", "--server-id", "small", "--json", *words, *made.option, **environment)


def test_a_server_is_approved_asked_about_and_revoked_in_a_data_directory(made: Made) -> None:
    declared(made)
    [one] = helm("mcp", "list", "--json", *made.option).json()
    assert (one["server_id"], one["state"], one["tool_names"]) == ("small", "quarantined", ["sum"])
    waiting = ask(made)
    assert (waiting.code, waiting.json()["reason_code"]) == (1, "APPROVAL_REQUIRED")
    assert helm("mcp", "approve", "small", "--reason", "looked", "--days", "3", *made.option).code == 0
    shown = helm("mcp", "get", "small", "--json", *made.option).json()
    assert (shown["state"], shown["approved_tool_names"], shown["reason"]) == ("approved", ["sum"], "looked")
    assert shown["expires_at_ms"] - shown["approved_at_ms"] == 3 * 86_400_000
    assert "looked" in helm("mcp", "get", "small", *made.option).out
    allowed = ask(made, "--args", '{"a": 1}')
    assert (allowed.code, allowed.json()["verdict"], allowed.json()["tool"]) == (0, "ALLOW", "small.sum")
    wrong = ask(made, "--args", '{"a": "one"}')
    assert (wrong.code, wrong.json()["reason_code"]) == (1, "SCHEMA_VIOLATION")
    stranger = ask(made, "--principal", "stranger")
    assert (stranger.code, stranger.json()["reason_code"]) == (1, "INSUFFICIENT_PRIVILEGE")
    assert helm("mcp", "revoke", "small", "--reason", "no more", *made.option).code == 0
    assert ask(made).json()["reason_code"] == "PDP_DENY"
    receipts = helm("receipts", "list", "--json", *made.option).json()
    assert {one["transport"] for one in receipts} == {"authorize-call"}
    assert len(receipts) == 5


def test_what_cannot_be_asked_is_said(made: Made) -> None:
    assert helm("mcp", "authorize-call", "a", "--args", "{", *made.option).code == 1
    assert helm("mcp", "authorize-call", "a", "--scope", "b", *made.option).code == 1
    assert helm("mcp", "authorize-call", "a b", *made.option).code == 1
    assert helm("mcp", "get", "nobody", *made.option).code == 1
    assert helm("mcp", "approve", "nobody", "--reason", "why", *made.option).code == 1


async def test_a_running_gateway_obeys_what_was_signed_beside_it(made: Made, tmp_path: Path) -> None:
    declared(made)
    place = made.place()
    keys = {"agent": made.tenant_key, "operator": made.admin_key}
    house = House(type(place).open(made.path, flags={"port": 0}), keys, SetClock())
    puppet = Puppet()
    names = read_signed(place.policy_path).policy.connectors
    async with gateway(house, read_signed(place.policy_path), dict.fromkeys(names, puppet)) as at:

        async def typed(*words: str, key: str = made.admin_key, data: Any = made) -> Ended:
            say = partial(helm, "mcp", *words, "--server", at.url, *data.option, "--json", HELM_API_KEY=key)
            return await trio.to_thread.run_sync(say)

        assert (await typed("list")).json()[0]["state"] == "quarantined"
        assert (await typed("list", key=made.tenant_key)).code == 1
        approved = await typed("approve", "small", "--reason", "looked")
        assert approved.json()[0]["approved_by"] == place.approval_key().key_id
        asked = await typed("authorize-call", "sum", "--server-id", "small", key=made.tenant_key)
        assert (asked.code, asked.json()["verdict"]) == (0, "ALLOW")
        assert (await typed("get", "small")).json()["state"] == "approved"
        assert (await typed("get", "nobody")).code == 1
        assert (await typed("revoke", "small", "--reason", "no more")).json()[0]["state"] == "revoked"
        denied = await typed("authorize-call", "sum", "--server-id", "small", key=made.tenant_key)
        assert (denied.code, denied.json()["reason_code"]) == (1, "PDP_DENY")
        other = await trio.to_thread.run_sync(partial(helm, "init", str(tmp_path / "other"), "--json"))
        elsewhere = Made(tmp_path / "other", "", "", other.json()["log_id"])
        assert (await typed("approve", "small", "--reason", "mine now", data=elsewhere)).code == 1
    assert puppet.orders == []
