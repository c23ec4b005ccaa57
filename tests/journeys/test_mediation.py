"""Every transport is mediated before dispatch (T1): the same five calls through each, and what the tool saw of them."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
import trio
import trio.testing
from mcp_types import CallToolRequestParams, CallToolResult, TextContent

from actors.cli.freeze import Stop, sign
from actors.cli.mcp.declaring import Terms, declaration
from actors.commands.servers import CommandServer
from actors.connectors.mcp import McpConnector, look_at, pins_for
from actors.doors.entry import Entry
from actors.doors.mcp.core import Core
from actors.doors.mcp.http import EXECUTE as MCP_EXECUTE
from actors.doors.mcp.stdio import StdioDoor
from actors.doors.mcp.wire import Fault, Message, read, refused
from actors.keys.bearer import BearerKey, KeyClass
from actors.signed_policy import SignedPolicy
from actors.stream_client import StreamClient, open_stream
from helm.contracts.call import Source
from helm.crypto.hashing import sha256
from helm.guardian.bundle_servers import MAX_BYTES
from helm.guardian.connection import McpConnection
from helm.guardian.intake import Caller, admit
from helm.guardian.servers import APPROVE, ServerCommand, sign_server_command
from tests.actors.connectors.mcp_address import at_address
from tests.actors.connectors.mcp_server import small
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.journeys.gateway import EXECUTE, FREEZE, Gateway, build, gateway

Ask = Callable[[str, Any], Awaitable[str]]
"""Makes one call and returns the id of its receipt."""


@attrs.frozen
class Way:
    """One transport: who opens it, and what its receipts say of it."""

    open: Callable[[Gateway], Any]
    door: str
    transport: str


@asynccontextmanager
async def embedded(at: Gateway) -> AsyncIterator[Ask]:
    async def ask(tool: str, arguments: Any) -> str:
        caller = Caller(tenant="default", principal="agent", session_id="embedded")
        return (await at.kernel.govern(admit(caller, tool, arguments))).receipt.receipt_id

    yield ask


@asynccontextmanager
async def posted(at: Gateway, path: str) -> AsyncIterator[Ask]:
    async def ask(tool: str, arguments: Any) -> str:
        return (await at.call(tool, arguments, path=path)).headers["x-helm-receipt-id"]

    yield ask


@asynccontextmanager
async def streamed(at: Gateway) -> AsyncIterator[Ask]:
    async with open_stream(at.url, at.house.keys["agent"]) as client:
        yield partial(over_stream, client)


async def over_stream(client: StreamClient, tool: str, arguments: Any) -> str:
    answer = await client.call(tool, arguments)
    return str(answer.members["receipt"]["receipt_id"])


def message(tool: str, arguments: Any) -> bytes:
    params = {"name": tool, "arguments": arguments}
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).encode()


def receipt_in(told: Any) -> str:
    meta = told["result"]["_meta"] if "result" in told else told["error"]["data"]
    return str(meta["helm/receipt_id"])


@asynccontextmanager
async def mcp_over_http(at: Gateway) -> AsyncIterator[Ask]:
    async def ask(tool: str, arguments: Any) -> str:
        return receipt_in((await at.send("/mcp", message(tool, arguments))).json())

    yield ask


@asynccontextmanager
async def mcp_over_stdio(at: Gateway) -> AsyncIterator[Ask]:
    ours, theirs = trio.testing.memory_stream_pair()
    key = BearerKey(
        credential_hash=sha256(b"stdio"),
        created_at_ms=0,
        key_class=KeyClass.TENANT,
        tenant="default",
        principal="agent",
    )
    entry = Entry(at.kernel, at.house.place.config, Source(door="mcp", transport="stdio"))
    door = StdioDoor(Core(entry, 1 << 20), key)

    async def ask(tool: str, arguments: Any) -> str:
        await ours.send_all(message(tool, arguments) + b"\n")
        said = b""
        while not said.endswith(b"\n"):
            said += await ours.receive_some()
        return receipt_in(json.loads(said))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(door.serve, theirs, theirs)
        yield ask
        await ours.send_eof()


WAYS: Final = {
    "embedding": Way(embedded, "embedding", "in-process"),
    "HTTP": Way(partial(posted, path=EXECUTE), "http", "http/1.1"),
    "stream": Way(streamed, "stream", "websocket"),
    "MCP over HTTP": Way(mcp_over_http, "mcp", "streamable-http"),
    "MCP, plain": Way(partial(posted, path=MCP_EXECUTE), "mcp", "http"),
    "MCP over stdio": Way(mcp_over_stdio, "mcp", "stdio"),
}


@pytest.mark.parametrize("name", WAYS)
async def test_no_transport_reaches_a_tool_that_is_not_to_be_reached(name: str, tmp_path: Path) -> None:
    way, puppet = WAYS[name], Puppet(deed=lambda order: {"n": "one"} if order.parsed == {"n": 3} else {"n": 1})
    house = build(tmp_path / "data")
    found: list[tuple[str, str, str]] = []
    async with gateway(house, house.sign(POLICY), {"local": puppet, "other": puppet}) as at:

        async def told(ask: Ask, tool: str, arguments: Any) -> None:
            story = await at.kernel.library.story(await ask(tool, arguments))
            assert story is not None
            receipt = story["receipt"]
            assert (receipt["door"], receipt["transport"]) == (way.door, way.transport)
            assert story["record"]["record_hash"] == receipt["record_hash"]
            found.append((receipt["verdict"], receipt["status"], receipt["reason_code"]))

        async with way.open(at) as ask:
            await told(ask, "strict", {"n": 1})
            await told(ask, "nobody.declared.this", {})
            await told(ask, "strict", {"n": "two"})
            await told(ask, "strict", {"n": 3})
            signed = sign(Stop("freeze", "global", "", "a drill"), house.place, 0)
            assert (await at.send(FREEZE, json.dumps(signed.body()).encode(), key="operator")).status == 200
            await told(ask, "strict", {"n": 4})
    assert found == [
        ("ALLOW", "SUCCESS", ""),
        ("DENY", "DENIED", "NO_POLICY_DEFINED"),
        ("DENY", "DENIED", "SCHEMA_VIOLATION"),
        ("ALLOW", "FAILED", "ERR_CONNECTOR_CONTRACT_DRIFT"),
        ("DENY", "DENIED", "SYSTEM_FROZEN"),
    ]
    assert [order.parsed for order in puppet.orders] == [{"n": 1}, {"n": 3}]


def spoofing() -> Any:
    """Return the small server, which answers what its schema forbids when it adds to 3."""
    server = small()
    entry = server.get_request_handler("tools/call")
    assert entry is not None

    async def call(context: Any, params: CallToolRequestParams) -> CallToolResult:
        if params.arguments == {"a": 3, "b": 0}:
            return CallToolResult(content=[TextContent(text="many")], structured_content={"sum": "many"})
        result = await entry.handler(context, params)
        assert isinstance(result, CallToolResult)
        return result

    server.add_request_handler("tools/call", CallToolRequestParams, call)
    return server


def approval(at: Gateway, policy: SignedPolicy) -> CommandServer:
    """Return the approval of the server with the tools that the policy pins."""
    key = at.house.place.approval_key()
    command = ServerCommand(
        action=APPROVE,
        expires_at_ms=at.house.clock.now_ms() + 86_400_000,
        issued_at_ms=at.house.clock.now_ms(),
        key_id=key.key_id,
        log_id=at.house.place.log_id,
        pins_hash=policy.policy.server_pins["small"],
        reason="a test",
        sequence=1,
        server_id="small",
    )
    return CommandServer(command, sign_server_command(command, key), at.kernel.parts.state.registry)


async def by_wrap(at: Gateway, ask: Callable[[bytes], Awaitable[Any]]) -> list[tuple[str, str, str]]:
    """Make the calls of the table through a door before one server; return what their receipts say."""
    found: list[tuple[str, str, str]] = []

    async def told(method: str, **params: Any) -> None:
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        story = await at.kernel.library.story(receipt_in(await ask(json.dumps(body).encode())))
        assert story is not None
        assert story["record"]["record_hash"] == story["receipt"]["record_hash"]
        found.append(tuple(story["receipt"][name] for name in ("verdict", "status", "reason_code")))

    await told("tools/call", name="sum", arguments={"a": 1, "b": 1})
    await told("tools/call", name="nobody.declared.this", arguments={})
    await told("tools/call", name="sum", arguments={"a": "one", "b": 1})
    await told("resources/read", uri="note://one")
    await told("prompts/get", name="greet")
    await told("tools/call", name="sum", arguments={"a": 3, "b": 0})
    await told("tools/call", name="sum", arguments={"a": 5, "b": 5})
    signed = sign(Stop("freeze", "global", "", "a drill"), at.house.place, 0)
    assert (await at.send(FREEZE, json.dumps(signed.body()).encode(), key="operator")).status == 200
    await told("tools/call", name="sum", arguments={"a": 4, "b": 0})
    return found


@pytest.mark.parametrize("transport", ["stdio", "streamable-http"])
async def test_nothing_goes_round_the_door_before_a_server(transport: str, tmp_path: Path) -> None:
    async with at_address(spoofing(), json_response=True) as (url, front):
        connection = McpConnection(name="small", url=url, allow_private=True, max_response_bytes=MAX_BYTES)
        house = build(tmp_path / "data")
        signed = house.sign(f"{POLICY}\n{declaration(connection, await look_at(connection), Terms())}")
        connector = McpConnector(connection, pins_for(signed.policy, "small"))
        connectors: dict[str, Any] = {"local": Puppet(), "other": Puppet(), "small": connector}
        async with gateway(house, signed, connectors) as at:
            await at.kernel.command(approval(at, signed))
            await connector.listed()
            del front.seen[:]
            core = Core(Entry(at.kernel, house.place.config, Source(door="mcp", transport=transport)), 1 << 20, "small")
            key = BearerKey(
                credential_hash=sha256(b"wrap"),
                created_at_ms=0,
                key_class=KeyClass.TENANT,
                tenant="default",
                principal="agent",
            )

            async def over_http(body: bytes) -> Any:
                try:
                    return json.loads(await core.answer(key, message_in(body), body))
                except Fault as fault:
                    return json.loads(refused(1, fault))

            if transport == "stdio":
                ours, theirs = trio.testing.memory_stream_pair()

                async def over_stdio(body: bytes) -> Any:
                    await ours.send_all(body + b"\n")
                    said = b""
                    while not said.endswith(b"\n"):
                        said += await ours.receive_some()
                    return json.loads(said)

                async with trio.open_nursery() as nursery:
                    nursery.start_soon(StdioDoor(core, key).serve, theirs, theirs)
                    found = await by_wrap(at, over_stdio)
                    await ours.send_eof()
            else:
                found = await by_wrap(at, over_http)
    assert found == [
        ("ALLOW", "SUCCESS", ""),
        ("DENY", "DENIED", "NO_POLICY_DEFINED"),
        ("DENY", "DENIED", "SCHEMA_VIOLATION"),
        ("DENY", "DENIED", "NO_POLICY_DEFINED"),
        ("DENY", "DENIED", "NO_POLICY_DEFINED"),
        ("ALLOW", "FAILED", "ERR_CONNECTOR_CONTRACT_DRIFT"),
        ("DENY", "DENIED", "ERR_CONNECTOR_CONTRACT_DRIFT"),
        ("DENY", "DENIED", "SYSTEM_FROZEN"),
    ]
    calls = [json.loads(body) for _, __, body in front.seen if b'"tools/call"' in body or b'"resources' in body]
    assert [call["params"]["arguments"] for call in calls] == [{"a": 1, "b": 1}, {"a": 3, "b": 0}]


def message_in(body: bytes) -> Message:
    """Return a message as the core takes it."""
    found = read(body, 1 << 20)
    assert isinstance(found, Message)
    return found
