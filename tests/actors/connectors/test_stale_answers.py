"""What a server sends behind an answer is nobody's answer: not in one write, not later, not in a race (T5, T9)."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from actors.connectors.http import HttpConnector
from actors.connectors.mcp import McpConnector, look_at
from actors.connectors.upstream import Upstream
from helm.guardian.bundle_servers import MAX_BYTES
from helm.guardian.connection import HttpConnection, HttpOperation, McpConnection
from helm.openai.upstream import read_place
from tests.actors.connectors.orders import order
from tests.actors.connectors.server import Server, ok
from tests.actors.connectors.test_http import _certificate as certificate

JSON = b"Content-Type: application/json"
JSON_SENT = (b"content-type", b"application/json")
STALE = "of another call"
PATIENCE_S = 30

Ask = Callable[[str], Awaitable[str]]
"""Makes one call that says a word, and returns the word that its answer says."""


async def home(_: str) -> Sequence[str]:
    return ["127.0.0.1"]


@attrs.define(eq=False)
class Talkative:
    """Answers each request with its own word, and on the same connection once more with a word of another call."""

    how: str
    server: Server = attrs.field(init=False)
    used: list[trio.abc.Stream] = attrs.field(factory=list)
    """The connection of each request."""
    owed: set[trio.abc.Stream] = attrs.field(factory=set)
    """Connections on which one answer too many is still to be sent."""
    call_again: trio.Event = attrs.field(factory=trio.Event)
    said_more: trio.Event = attrs.field(factory=trio.Event)

    async def answer(self, stream: trio.abc.Stream) -> None:
        request = self.server.requests[-1]
        self.used.append(stream)
        true, surplus = answers_to(request)
        if stream in self.owed:  # the answer too many overtakes the answer to the request that has just been sent
            self.owed.discard(stream)
            true = surplus + true
        if not surplus:
            await stream.send_all(true)
        elif self.how == "in one write":
            await stream.send_all(true + surplus)
        elif self.how == "in a race":
            self.owed.add(stream)
            await stream.send_all(true)
        else:
            await stream.send_all(true)
            await self.say_more(stream, surplus)

    async def say_more(self, stream: trio.abc.Stream, surplus: bytes) -> None:
        await self.call_again.wait()
        try:
            await stream.send_all(surplus)
        finally:  # nobody may be there any more to be told: that is the point
            self.said_more.set()

    async def idled(self) -> None:
        """Have the answer too many sent now, if it comes late, while no call is under way."""
        if self.how == "while it idles":
            self.call_again.set()
            await self.said_more.wait()


def answers_to(request: bytes) -> tuple[bytes, bytes]:
    """Return the answer to a request and the one too many, b"" where there is none."""
    head, _, body = request.partition(b"\r\n\r\n")
    if head.startswith(b"GET /mcp"):
        return ok(b"", status=b"405 Method Not Allowed"), b""
    if head.startswith(b"POST /mcp"):
        return mcp_answers_to(json.loads(body))
    word = json.loads(body)["word"]
    return ok(json.dumps({"word": word}).encode(), JSON), ok(json.dumps({"word": STALE}).encode(), JSON)


def mcp_answers_to(message: dict[str, Any]) -> tuple[bytes, bytes]:
    match message["method"]:
        case "initialize":
            about = {"name": "talkative", "version": "1"}
            version = message["params"]["protocolVersion"]
            result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": about}
            return mcp_answer(message["id"], result), b""
        case "tools/list":
            tools = [{"name": "say", "inputSchema": {"type": "object"}}]
            return mcp_answer(message["id"], {"tools": tools}), b""
        case "tools/call":
            word = message["params"]["arguments"]["word"]
            # Whoever numbers messages one by one tells everybody what the next number is.
            return mcp_answer(message["id"], said(word)), mcp_answer(message["id"] + 1, said(STALE))
        case _ if "id" in message:
            error = {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32601, "message": "Method not found"}}
            return ok(json.dumps(error).encode(), JSON), b""
        case _:
            return ok(b"", status=b"202 Accepted"), b""


def said(word: str) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": word}]}


def mcp_answer(number: int, result: dict[str, Any]) -> bytes:
    return ok(json.dumps({"jsonrpc": "2.0", "id": number, "result": result}).encode(), JSON)


@asynccontextmanager
async def http_tool(port: int, tls: Path | None) -> AsyncIterator[Ask]:
    origin = f"{'http' if tls is None else 'https'}://api.example:{port}"
    connection = HttpConnection(
        name="tested",
        origin=origin,
        operations={"say": HttpOperation(method="POST", path="/say", url_argument="", query=frozenset())},
        allow_private=True,
        max_response_bytes=1_000,
    )
    connector = HttpConnector(connection, resolver=home, ssl_context=trusting(tls))

    async def ask(word: str) -> str:
        asked = order({"word": word}, operation="say", destination=origin, timeout_ms=20_000)
        answer: Any = await connector.dispatch(asked)
        return str(answer["word"])

    try:
        yield ask
    finally:
        await connector.aclose()


@asynccontextmanager
async def upstream(port: int, tls: Path | None) -> AsyncIterator[Ask]:
    place = read_place(f"{'http' if tls is None else 'https'}://api.example:{port}/v1", allow_private=True)
    model = Upstream(place, resolver=home, ssl_context=trusting(tls))

    async def ask(word: str) -> str:
        body = json.dumps({"word": word}).encode()
        async with model.ask("POST", "/chat/completions", [JSON_SENT], body) as incoming:
            return str(json.loads(b"".join([piece async for piece in incoming.pieces]))["word"])

    yield ask


@asynccontextmanager
async def mcp_server(port: int, tls: Path | None) -> AsyncIterator[Ask]:
    assert tls is None
    url = f"http://127.0.0.1:{port}/mcp"
    connection = McpConnection(name="tested", url=url, allow_private=True, max_response_bytes=MAX_BYTES)
    listing = await look_at(connection)
    connector = McpConnector(connection, {name: tool.pin for name, tool in listing.items()})

    async def ask(word: str) -> str:
        answer: Any = await connector.dispatch(order({"word": word}, operation="say", timeout_ms=20_000))
        return str(answer["content"][0]["text"])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(connector.attend, nobody)
        yield ask
        nursery.cancel_scope.cancel()


async def nobody(*_: str) -> None:
    """Take no notice of a drift."""


async def each_word_comes_back(talkative: Talkative, ask: Ask) -> None:
    with trio.fail_after(PATIENCE_S):  # an answer that was stolen may be waited for without end
        first = await ask("one")
        await talkative.idled()
        assert [first, await ask("two"), await ask("three")] == ["one", "two", "three"]
    assert len(set(talkative.used)) == len(talkative.used)


Connect = Callable[[int, Path | None], AbstractAsyncContextManager[Ask]]


def trusting(tls: Path | None) -> Any:
    return None if tls is None else ssl.create_default_context(cafile=tls / "ca.pem")


@pytest.mark.parametrize("how", ["in one write", "while it idles", "in a race"])
@pytest.mark.parametrize("connect", [http_tool, upstream, mcp_server])
async def test_an_answer_too_many_answers_no_other_call(nursery: trio.Nursery, connect: Connect, how: str) -> None:
    talkative = Talkative(how)
    talkative.server = await Server(talkative.answer).start(nursery)
    async with connect(talkative.server.port, None) as ask:
        await each_word_comes_back(talkative, ask)


@pytest.mark.parametrize("how", ["in one write", "while it idles", "in a race"])
@pytest.mark.parametrize("connect", [http_tool, upstream])
async def test_what_waits_below_tls_answers_no_other_call(
    nursery: trio.Nursery, tmp_path: Path, connect: Connect, how: str
) -> None:
    talkative = Talkative(how)
    talkative.server = await Server(talkative.answer, tls=certificate(tmp_path, "api.example")).start(nursery)
    async with connect(talkative.server.port, tmp_path) as ask:
        await each_word_comes_back(talkative, ask)
