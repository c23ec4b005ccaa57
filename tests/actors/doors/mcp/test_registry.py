"""The registry of MCP servers over HTTP: what is seen, what an approver's signature does, and what it does not."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.cli.server import Server
from helm.crypto.domains import KeyPurpose
from helm.guardian.servers import APPROVE, REVOKE, SERVER_COMMAND, ServerCommand, sign_server_command
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.journeys.gateway import NOON_MS, Gateway, build, gateway

REGISTRY = "/api/v1/mcp/registry"

POLICY_WITH_SERVERS = (
    POLICY
    + f"""
[connectors.notes]
kind = "mcp"
command = ["{sys.executable}", "-c", "pass"]

[connectors.far]
kind = "mcp"
url = "https://tools.example/mcp"

[tools."notes.add"]
connector = "notes"
operation = "add"
effect_type = "write"
risk_tier = "T1"
principals = ["agent"]
pin = "sha256:{"1" * 64}"
input = '{{"type": "object"}}'
output = '{{}}'
"""
)


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[Gateway]:
    """Open a gateway whose policy declares servers; behind each stands a puppet."""
    house, puppet = build(tmp_path / "data"), Puppet()
    names = ("local", "other", "notes", "far")
    async with gateway(house, house.sign(POLICY_WITH_SERVERS), dict.fromkeys(names, puppet)) as at:
        yield at


async def ask(at: Gateway, method: str, path: str, body: Any = None, key: str = "operator") -> tuple[int, Any]:
    """Send one request; return its status and what it says."""
    raw = None if body is None else json.dumps(body).encode()
    server = Server(at.url, at.house.keys[key])
    given = {} if raw is None else {"content-type": "application/json"}
    reply = await trio.to_thread.run_sync(partial(server.ask, method, path, raw, **given))
    return reply.status, reply.json()


async def command(at: Gateway, action: str = APPROVE, purpose: Any = KeyPurpose.APPROVAL, **changes: Any) -> Any:
    """Return a command about the server `notes`, signed for what stands now, but for the changes."""
    _, standing = await ask(at, "GET", REGISTRY)
    [pins] = [one["pins_hash"] for one in standing["servers"] if one["server_id"] == "notes"]
    key = at.house.place.key(purpose)
    said = {
        "action": action,
        "expires_at_ms": NOON_MS + 1000 if action == APPROVE else 0,
        "issued_at_ms": NOON_MS,
        "key_id": key.key_id,
        "log_id": standing["log_id"],
        "pins_hash": pins if action == APPROVE else "",
        "reason": "a test",
        "sequence": standing["sequence"] + 1,
        "server_id": "notes",
    }
    one = ServerCommand(**{**said, **changes})
    signer = at.house.place.approval_key() if purpose is KeyPurpose.APPROVAL else None
    signature = sign_server_command(one, signer) if signer else "0" * 128
    return {"command": SERVER_COMMAND.body(one), "signature": signature}


async def test_a_server_is_seen_approved_and_revoked(tmp_path: Path) -> None:
    async with opened(tmp_path) as at:
        status, standing = await ask(at, "GET", REGISTRY)
        assert status == 200
        far, notes = standing["servers"]
        assert (far["state"], far["transport"], far["tool_names"]) == ("discovered", "streamable-http", [])
        assert (notes["state"], notes["risk"], notes["approved_tool_names"]) == ("quarantined", "T1", [])
        status, approved = await ask(at, "POST", f"{REGISTRY}/notes/approve", await command(at))
        assert (status, approved["state"]) == (200, "approved")
        assert (approved["approved_tool_names"], approved["approved_effects"]) == (["add"], ["write"])
        assert approved["approved_by"] == at.house.place.approval_key().key_id
        called = await at.call("notes.add", {})
        assert called.json()["verdict"] == "ALLOW"
        status, revoked = await ask(at, "POST", f"{REGISTRY}/notes/revoke", await command(at, REVOKE))
        assert (status, revoked["state"], revoked["reason"]) == (200, "revoked", "a test")
        assert (await ask(at, "GET", f"{REGISTRY}/notes"))[1] == revoked
        status, again = await ask(at, "POST", REGISTRY, await command(at))
        assert (status, again["state"]) == (200, "approved")
        at.house.clock.ahead_ms = 2000
        assert (await ask(at, "GET", f"{REGISTRY}/notes"))[1]["state"] == "expired"


Attack = Callable[[Gateway], Any]

ATTACKS: dict[str, tuple[int, str, dict[str, Any]]] = {
    "played again": (409, "approve", {"sequence": 0}),
    "from the future": (409, "approve", {"sequence": 7}),
    "for other tools": (409, "approve", {"pins_hash": "sha256:" + "2" * 64}),
    "for another log": (403, "approve", {"log_id": "sha256:" + "2" * 64}),
    "for another server": (400, "approve", {"server_id": "far"}),
    "another action": (400, "revoke", {}),
    "by another key": (403, "approve", {"purpose": KeyPurpose.POLICY}),
    "by a key that is not known": (403, "approve", {"key_id": "ed25519:" + "0" * 16}),
}


@pytest.mark.parametrize(("status", "route", "changes"), ATTACKS.values(), ids=ATTACKS)
async def test_a_command_that_was_not_signed_for_this_is_not_obeyed(
    tmp_path: Path, status: int, route: str, changes: dict[str, Any]
) -> None:
    async with opened(tmp_path) as at:
        body = await command(at, **changes)
        told, said = await ask(at, "POST", f"{REGISTRY}/notes/{route}", body)
        assert told == status, said
        assert (await ask(at, "GET", f"{REGISTRY}/notes"))[1]["state"] == "quarantined"


async def test_a_signature_over_another_command_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as at:
        body = await command(at)
        body["command"]["expires_at_ms"] += 1
        assert (await ask(at, "POST", f"{REGISTRY}/notes/approve", body))[0] == 403
        body["signature"] = 7
        assert (await ask(at, "POST", f"{REGISTRY}/notes/approve", body))[0] == 400
        body["command"] = {"action": "approve"}
        assert (await ask(at, "POST", REGISTRY, {**body, "signature": "0"}))[0] == 400
        unknown = await command(at, server_id="nobody")
        assert (await ask(at, "POST", REGISTRY, unknown))[0] == 404
        assert (await ask(at, "GET", f"{REGISTRY}/nobody"))[0] == 404


async def test_only_an_operator_opens_these_routes(tmp_path: Path) -> None:
    async with opened(tmp_path) as at:
        signed = await command(at)
        for method, path, body in (
            ("GET", REGISTRY, None),
            ("GET", f"{REGISTRY}/notes", None),
            ("POST", REGISTRY, signed),
            ("POST", f"{REGISTRY}/notes/approve", signed),
            ("POST", f"{REGISTRY}/notes/revoke", signed),
            ("POST", "/api/v1/mcp/scan", {"tools": []}),
        ):
            assert (await ask(at, method, path, body, key="agent"))[0] == 403
            assert (await ask(at, method, path, body, key=""))[0] == 401
        assert (await ask(at, "GET", f"{REGISTRY}/notes"))[1]["state"] == "quarantined"


async def test_a_listing_is_scanned_beside_the_servers_of_the_policy(tmp_path: Path) -> None:
    tool = {"name": "add", "description": "Adds. <!-- and more -->", "inputSchema": {"type": "object"}}
    async with opened(tmp_path) as at:
        status, told = await ask(
            at, "POST", "/api/v1/mcp/scan", {"tools": [tool], "server_id": "new", "command": ["npx", "-y", "some"]}
        )
        refused = [
            (await ask(at, "POST", "/api/v1/mcp/scan", body))[0]
            for body in ({}, {"tools": 1}, {"tools": [1]}, {"tools": [], "command": "npx"}, {"tools": [], "url": 1})
        ]
    assert (status, told["scanned"]) == (200, ["new"])
    assert {one["rule"] for one in told["findings"]} >= {"text.comment", "launch.unpinned", "name.same"}
    assert refused == [400] * 5
