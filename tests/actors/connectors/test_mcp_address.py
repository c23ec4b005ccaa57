"""An MCP server at an address: asked over a checked network, and the truth told of whatever it answers."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
from mcp.server.lowlevel.server import Server
from mcp_types import CallToolRequestParams, CallToolResult

from actors.connectors import mcp
from actors.connectors.mcp import McpConnector, look_at
from actors.connectors.mcp_http import CONNECT_S
from actors.connectors.port import ConnectorFailed, ConnectorUnknown, NotDispatched
from helm.contracts.errors import Invalid
from helm.contracts.reason import ReasonCode
from helm.guardian.bundle_servers import MAX_BYTES
from helm.guardian.connection import McpConnection
from helm.guardian.methods import PIN
from tests.actors.connectors import mcp_rich
from tests.actors.connectors.mcp_address import Front, answers, at_address
from tests.actors.connectors.mcp_server import small
from tests.actors.connectors.orders import order
from tests.actors.connectors.test_mcp_back import Asked

JSON = {"content_type": "application/json"}
SUM = {"a": 1, "b": 2}
THREE = {"content": [{"text": "3", "type": "text"}], "structuredContent": {"sum": 3}}


def at(url: str, **changes: Any) -> McpConnection:
    said: dict[str, Any] = {"name": "small", "url": url, "allow_private": True, "max_response_bytes": MAX_BYTES}
    return McpConnection(**said | changes)


async def nobody(*_: str) -> None:
    """Take no notice of a drift."""


@asynccontextmanager
async def asked(connection: McpConnection, **given: Any) -> AsyncIterator[McpConnector]:
    """Attend a connector of the server, pinned as it is listed now."""
    listing = await look_at(attrs.evolve(connection, bearer=""))
    connector = McpConnector(connection, {name: tool.pin for name, tool in listing.items()}, **given)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(connector.attend, nobody)
        yield connector
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("how", [{}, {"json_response": True}, {"stateless_http": True}], ids=str)
async def test_a_tool_at_an_address_is_called(how: dict[str, Any]) -> None:
    async with at_address(small(), **how) as (url, front), asked(at(url)) as connector:
        assert await connector.dispatch(order(SUM, operation="sum")) == THREE
        with pytest.raises(ConnectorFailed, match="did not work"):
            await connector.dispatch(order({"fails": True}, operation="say"))
    assert {headers["accept-encoding"] for _, headers, _ in front.seen} == {"identity"}
    assert not [1 for _, headers, _ in front.seen if "authorization" in headers or "cookie" in headers]


async def test_a_token_goes_with_every_request_and_into_no_text() -> None:
    async with at_address(small()) as (url, front):
        connection = at(url, bearer="SMALL_TOKEN")
        async with asked(connection, environment={"SMALL_TOKEN": "s3cret"}) as connector:
            del front.seen[:]
            assert await connector.dispatch(order(SUM, operation="sum")) == THREE
            assert "s3cret" not in repr(connector)
    assert {headers["authorization"] for _, headers, _ in front.seen} == {"Bearer s3cret"}


@pytest.mark.parametrize("token", ["", "two words", "line\nbreak", "ümlaut"])
async def test_without_a_token_nothing_is_sent(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMALL_TOKEN", token)
    with pytest.raises(Invalid, match="SMALL_TOKEN holds no token") as found:
        await look_at(at("http://127.0.0.1:9/mcp", bearer="SMALL_TOKEN"))
    assert not token or token not in str(found.value)


async def test_an_address_of_this_machine_must_be_allowed() -> None:
    async with at_address(small()) as (url, front):
        with pytest.raises(Invalid, match="loopback"):
            await look_at(at(url, allow_private=False))
    assert front.seen == []


async def test_a_name_that_turns_to_this_machine_after_it_was_checked_is_not_followed() -> None:
    """DNS rebinding: every connection resolves once, and goes only to what was checked."""
    named = ["127.0.0.1"]
    reached: list[bytes] = []

    async def rebinds(_: str) -> list[str]:
        return named

    async def hang(_: Front, __: Any, body: bytes, ___: Any) -> bool:
        if b'"tools/call"' in body:
            reached.append(body)
            await trio.sleep_forever()
        return False

    async with at_address(small(), json_response=True) as (url, front):
        connection = at(url.replace("127.0.0.1", "localhost"))
        async with asked(connection, resolver=rebinds) as connector, trio.open_nursery() as busy:
            assert await connector.dispatch(order(SUM, operation="sum")) == THREE
            front.wrong, named[0] = hang, "169.254.169.254"
            refused: list[ReasonCode] = []

            async def call() -> None:
                try:
                    await connector.dispatch(order(SUM, operation="sum"))
                except NotDispatched as refusal:
                    refused.append(refusal.code)

            with trio.fail_after(30):
                while not refused:  # until every connection from before is taken by a call that hangs
                    before = len(reached)
                    busy.start_soon(call)
                    while len(reached) == before and not refused:
                        await trio.lowlevel.checkpoint()
            busy.cancel_scope.cancel()
    assert refused == [ReasonCode.DATA_EGRESS_BLOCKED]
    assert len(reached) < 4


@pytest.mark.parametrize(
    ("wrong", "raised", "says"),
    [
        (answers(307, location="http://127.0.0.1:9/elsewhere"), ConnectorFailed, "redirects are not followed"),
        (answers(308, location="/mcp/"), ConnectorFailed, "redirects are not followed"),
        (answers(500, b"oops", content_type="text/plain"), ConnectorFailed, "HTTP 500"),
        (answers(200, b"<html>", content_type="text/html"), ConnectorUnknown, "neither JSON nor"),
        (answers(200, b"{}}", **JSON), ConnectorUnknown, "lost before|no answer|cut off|longer"),
        (answers(200, b'"' + b"x" * 2_000_000 + b'"', **JSON), ConnectorUnknown, "longer than it may be"),
        (answers(200, b"\x1f\x8b", content_encoding="gzip", **JSON), ConnectorUnknown, "coding"),
        (answers(202), ConnectorUnknown, "no answer follows"),
        (
            answers(200, b"data: half", content_type="text/event-stream"),
            ConnectorUnknown,
            "lost before|no answer|cut off|longer",
        ),
        (
            answers(200, b"data: " + b"x" * 2_000_000, content_type="text/event-stream"),
            ConnectorUnknown,
            "lost before|no answer|cut off|longer",
        ),
        (
            answers(
                400, json.dumps({"jsonrpc": "2.0", "id": None, "error": {"code": 7, "message": "no"}}).encode(), **JSON
            ),
            ConnectorFailed,
            "answered 7: no",
        ),
    ],
)
async def test_whatever_an_address_answers_is_told_as_what_is_known(wrong: Any, raised: type, says: str) -> None:
    async with at_address(small()) as (url, front), asked(at(url)) as connector:
        front.wrong = wrong
        with pytest.raises(raised, match=says):
            await connector.dispatch(order(SUM, operation="sum"))
        front.wrong = None
        assert await connector.dispatch(order(SUM, operation="sum")) == THREE


async def test_a_server_that_is_gone_got_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mcp, "READY_S", 1.0)
    async with at_address(small(), json_response=True) as (url, front):
        listing = await look_at(at(url))
    connector = McpConnector(at(url), {name: tool.pin for name, tool in listing.items()})
    connector.listing = listing
    with trio.fail_after(CONNECT_S * 6):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connector.attend, nobody)
            with pytest.raises(NotDispatched) as found:
                await connector.dispatch(order(SUM, operation="sum"))
            nursery.cancel_scope.cancel()
    assert found.value.code is ReasonCode.ERR_CONNECTOR_ERROR
    assert front.seen


@pytest.mark.parametrize("how", [{}, {"stateless_http": True}], ids=str)
async def test_a_call_that_is_cancelled_is_cancelled_over_there(how: dict[str, Any]) -> None:
    reached, ended = trio.Event(), trio.Event()

    async def hang(_: Any, __: Any) -> CallToolResult:
        reached.set()
        try:
            await trio.sleep_forever()
        finally:
            ended.set()
        raise AssertionError

    server = small()
    server.add_request_handler("tools/call", CallToolRequestParams, hang)
    async with at_address(server, **how) as (url, _), asked(at(url)) as connector:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connector.dispatch, order(SUM, operation="sum"))
            with trio.fail_after(20):
                await reached.wait()
            nursery.cancel_scope.cancel()
        with trio.fail_after(20):
            await ended.wait()


async def test_a_name_that_is_gone_after_the_server_asked_back_does_not_make_the_call_one_that_was_never_sent() -> None:
    """Each round of a call has a connection of its own: what becomes of the second unsays nothing of the first."""
    is_gone: list[bool] = []

    async def resolve(_: str) -> list[str]:
        if is_gone:
            raise OSError("no name server")
        return ["127.0.0.1"]

    class Person(Asked):
        async def ask(self, tool: str, params: Any) -> Any:
            is_gone.append(True)
            return await super().ask(tool, params)

    rich: Server[Any] = Server("rich", on_list_tools=mcp_rich.tools, on_call_tool=mcp_rich.call)
    person = Person("one", {"action": "accept", "content": {"colour": "red"}})
    async with at_address(rich, json_response=True) as (url, front):
        connection = at(url.replace("127.0.0.1", "localhost"))
        pins = {name: tool.pin for name, tool in (await look_at(connection)).items()} | {"elicitation/create": PIN}
        connector = McpConnector(connection, pins, resolver=resolve)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(connector.attend, nobody)
            with pytest.raises(ConnectorUnknown, match="another request of the call had begun to leave"):
                await connector.dispatch(order({}, operation="ask").but(line=person))
            with pytest.raises(NotDispatched):
                await connector.dispatch(order({}, operation="ask"))
            nursery.cancel_scope.cancel()
    assert person.asked
    assert len([1 for _, _, body in front.seen if b'"tools/call"' in body]) == 1
