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

from actors.bearer import BearerKey, KeyClass
from actors.cli.freeze import Stop, sign
from actors.doors.entry import Entry
from actors.doors.mcp.core import Core
from actors.doors.mcp.http import EXECUTE as MCP_EXECUTE
from actors.doors.mcp.stdio import StdioDoor
from actors.stream_client import StreamClient, open_stream
from helm.contracts.call import Source
from helm.crypto.hashing import sha256
from helm.guardian.intake import Caller, admit
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
