"""MCP over HTTP, as the SDK's own client speaks it, in both eras; and as nobody should."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import methods

from helm.contracts.reason import ReasonCode
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.journeys.gateway import Gateway, build, gateway

LEGACY, MODERN = "2025-11-25", "2026-07-28"

ENVELOPE = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientCapabilities": {},
}


@asynccontextmanager
async def opened(tmp_path: Path, puppet: Puppet | None = None) -> AsyncIterator[Gateway]:
    """Open a gateway whose tools a puppet stands behind."""
    house = build(tmp_path / "data")
    puppet = puppet or Puppet(deed=lambda order: {"n": 2})
    async with gateway(house, house.sign(POLICY), {"local": puppet, "other": puppet}) as at:
        yield at


@asynccontextmanager
async def client_of(at: Gateway, mode: Any) -> AsyncIterator[Client]:
    """Connect the SDK's client, with the agent's key."""
    headers = {"authorization": f"Bearer {at.house.keys['agent']}"}
    async with (
        httpx2.AsyncClient(headers=headers, verify=False) as http,
        Client(streamable_http_client(f"{at.url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


async def post(at: Gateway, body: Any, **headers: str) -> httpx2.Response:
    """Send one message by hand."""
    given = {"authorization": f"Bearer {at.house.keys['agent']}", "content-type": "application/json"} | headers
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with httpx2.AsyncClient(verify=False) as http:
        return await http.post(f"{at.url}/mcp", content=raw, headers={k.replace("_", "-"): v for k, v in given.items()})


def request(method: str, params: Any = None, **more: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}} | more


@pytest.mark.parametrize("mode", ["legacy", MODERN, "auto"])
async def test_the_official_client_lists_and_calls_in_every_era(tmp_path: Path, mode: str) -> None:
    async with opened(tmp_path) as at, client_of(at, mode) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        result = await client.call_tool("strict", {"n": 1})
        found = await at.kernel.library.story(str((result.meta or {})["helm/receipt_id"]))
    assert {"strict", "read"} <= tools.keys()
    assert "private" not in tools  # this principal may not
    assert not result.is_error
    assert result.structured_content == {"n": 2}
    assert found is not None
    assert (found["receipt"]["door"], found["receipt"]["transport"]) == ("mcp", "streamable-http")


@pytest.mark.parametrize("mode", ["legacy", MODERN])
async def test_a_refusal_is_a_result_that_a_model_can_read(tmp_path: Path, mode: str) -> None:
    async with opened(tmp_path) as at, client_of(at, mode) as client:
        result = await client.call_tool("strict", {"n": "one"})
        [said] = result.content
        receipt = await at.kernel.library.story(str((result.meta or {})["helm/receipt_id"]))
    assert result.is_error
    assert "SCHEMA_VIOLATION" in getattr(said, "text", "")
    assert receipt is not None
    assert receipt["receipt"]["verdict"] == "DENY"


async def test_what_is_answered_is_what_the_revisions_ask_for(tmp_path: Path) -> None:
    async with opened(tmp_path) as at:
        hello = {"protocolVersion": LEGACY, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}
        first = (await post(at, request("initialize", hello))).json()
        methods.validate_server_result("initialize", LEGACY, first["result"])
        listed = (await post(at, request("tools/list"), mcp_protocol_version=LEGACY)).json()
        methods.validate_server_result("tools/list", LEGACY, listed["result"])
        for method in ("server/discover", "tools/list"):
            modern = {"mcp_protocol_version": MODERN, "mcp_method": method}
            told = (await post(at, request(method, {"_meta": ENVELOPE}), **modern)).json()
            methods.validate_server_result(method, MODERN, told["result"])


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (request("tools/call", {"name": "nobody.declared.this", "arguments": {}}), ReasonCode.NO_POLICY_DEFINED),
        (request("tools/call", {"name": "strict", "arguments": [1]}), ReasonCode.SCHEMA_VIOLATION),
        (request("tools/call", {"name": "strict"}), ReasonCode.SCHEMA_VIOLATION),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"strict","arguments":{"n":1,"n":2}}}',
            ReasonCode.SCHEMA_VIOLATION,
        ),
        (
            b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"strict","arguments":{"n":NaN}}}',
            ReasonCode.SCHEMA_VIOLATION,
        ),
    ],
    ids=["unknown tool", "an array", "no arguments", "a name twice", "NaN"],
)
async def test_whoever_names_a_tool_gets_a_receipt(tmp_path: Path, body: Any, code: ReasonCode) -> None:
    puppet = Puppet()
    async with opened(tmp_path, puppet) as at:
        told = (await post(at, body)).json()
        meta = told["result"]["_meta"] if "result" in told else told["error"]["data"]
        found = await at.kernel.library.story(meta["helm/receipt_id"])
    assert meta["helm/reason_code"] == code
    assert found is not None
    assert puppet.orders == []


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        (b"{", {}, 400, -32700),
        ([request("ping")], {}, 400, -32600),
        ({"jsonrpc": "2.0", "id": 1, "result": {}}, {}, 400, -32600),
        (request("ping", id=None), {}, 400, -32600),
        (request("ping", id={"a": 1}), {}, 400, -32600),
        (request("ping", id="x" * 300), {}, 400, -32600),
        (request("resources/list"), {}, 404, -32601),
        (request("sampling/createMessage"), {}, 404, -32601),
        (request("server/discover"), {}, 404, -32601),
        (request("tools/list", {"cursor": "2"}), {}, 400, -32602),
        (request("tools/call", {"name": 7}), {}, 400, -32602),
        (request("tools/call", {"name": "a b"}), {}, 400, -32602),
        (request("tools/call", {"name": "read", "_meta": {"helm/trust": "operator"}}), {}, 400, -32602),
        (request("ping"), {"mcp_protocol_version": "1999-01-01"}, 400, -32022),
        (request("initialize", {"_meta": ENVELOPE}), {"mcp_protocol_version": MODERN}, 404, -32601),
        (request("ping", {"_meta": ENVELOPE}), {"mcp_protocol_version": MODERN, "mcp_method": "ping"}, 404, -32601),
        (request("tools/list", {"_meta": ENVELOPE}), {"mcp_protocol_version": MODERN}, 400, -32020),
        (request("tools/list", {"_meta": ENVELOPE}), {"mcp_method": "tools/list"}, 400, -32020),
        (request("tools/list"), {"mcp_protocol_version": MODERN, "mcp_method": "tools/list"}, 400, -32602),
        (
            request("tools/call", {"_meta": ENVELOPE, "name": "read", "arguments": {}}),
            {"mcp_protocol_version": MODERN, "mcp_method": "tools/call", "mcp_name": "strict"},
            400,
            -32020,
        ),
        (
            request("tools/list", {"_meta": ENVELOPE | {"io.modelcontextprotocol/protocolVersion": "2099-01-01"}}),
            {"mcp_protocol_version": "2099-01-01", "mcp_method": "tools/list"},
            400,
            -32022,
        ),
    ],
)
async def test_what_is_not_served_is_refused_by_name(
    tmp_path: Path, body: Any, headers: dict[str, str], status: int, code: int
) -> None:
    async with opened(tmp_path) as at:
        told = await post(at, body, **headers)
    assert (told.status_code, told.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"authorization": ""}, 401),
        ({"authorization": "Bearer helm_nobody"}, 401),
        ({"origin": "https://evil.example.com"}, 403),
        ({"host": "evil.example.com"}, 403),
        ({"host": "evil.example.com", "origin": "http://evil.example.com"}, 403),
        ({"accept": "text/html"}, 406),
        ({"content_type": "text/plain"}, 415),
        ({"content_encoding": "gzip"}, 415),
    ],
)
async def test_what_cannot_be_let_in_is_not_read(tmp_path: Path, headers: dict[str, str], status: int) -> None:
    async with opened(tmp_path) as at:
        assert (await post(at, request("tools/list"), **headers)).status_code == status


async def test_a_notification_is_taken_and_an_unknown_one_is_not(tmp_path: Path) -> None:
    async with opened(tmp_path) as at:
        taken = await post(at, {"jsonrpc": "2.0", "method": "notifications/initialized"})
        odd = await post(at, {"jsonrpc": "2.0", "method": "notifications/surprise"})
    assert (taken.status_code, taken.content) == (202, b"")
    assert odd.status_code == 404


async def test_mcp_over_websocket_is_refused_with_a_receipt(tmp_path: Path) -> None:
    async with opened(tmp_path) as at:
        headers = {
            "authorization": f"Bearer {at.house.keys['agent']}",
            "connection": "upgrade",
            "upgrade": "websocket",
            "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
            "sec-websocket-version": "13",
            "sec-websocket-protocol": "mcp",
        }
        async with httpx2.AsyncClient(verify=False) as http:
            told = await http.get(f"{at.url}/mcp", headers=headers)
        found = await at.kernel.library.story(told.headers["x-helm-receipt-id"])
    assert told.status_code == 403
    assert found is not None
    assert (found["receipt"]["verdict"], found["receipt"]["transport"]) == ("DENY", "websocket")


async def test_there_is_no_stream_to_listen_to_and_no_session_to_end(tmp_path: Path) -> None:
    async with opened(tmp_path) as at, httpx2.AsyncClient(verify=False) as http:
        headers = {"authorization": f"Bearer {at.house.keys['agent']}"}
        for method in ("GET", "DELETE"):
            told = await http.request(method, f"{at.url}/mcp", headers=headers)
            assert (told.status_code, told.headers["allow"]) == (405, "POST")


async def test_the_plain_route_is_governed_and_told_apart(tmp_path: Path) -> None:
    async with opened(tmp_path) as at, httpx2.AsyncClient(verify=False) as http:
        headers = {"authorization": f"Bearer {at.house.keys['agent']}"}
        body = {"tool": "strict", "arguments": {"n": 1}}
        told = await http.post(f"{at.url}/mcp/v1/execute", headers=headers, json=body)
        offered = await http.get(f"{at.url}/mcp/v1/capabilities", headers=headers)
    receipt = told.json()["receipt"]
    assert (receipt["door"], receipt["transport"], receipt["status"]) == ("mcp", "http", "SUCCESS")
    assert MODERN in offered.json()["protocol_versions"]
    assert "strict" in {tool["name"] for tool in offered.json()["tools"]}
