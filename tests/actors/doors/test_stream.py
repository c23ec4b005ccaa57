"""A stream: many calls in flight on one connection, and nothing that a client does to it is anybody else's loss."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from trio_websocket import WebSocketConnection, connect_websocket_url

from tests.actors.doors.street import SOON_S, Street

VERSION = "helm.stream.v1"


@asynccontextmanager
async def opened(street: Street, key: str | None = None) -> AsyncIterator[WebSocketConnection]:
    """Yield a stream, by default one of acme's agent."""
    headers = [(b"authorization", f"Bearer {street.agent if key is None else key}".encode())]
    url = f"ws://{street.address.host}:{street.address.port}/v1/stream"
    with trio.fail_after(SOON_S):
        async with trio.open_nursery() as nursery:
            stream = await connect_websocket_url(nursery, url, subprotocols=[VERSION], extra_headers=headers)
            try:
                yield stream
            finally:
                await stream.aclose()
                nursery.cancel_scope.cancel()


async def say(stream: WebSocketConnection, **members: Any) -> None:
    await stream.send_message(json.dumps(members))


async def heard(stream: WebSocketConnection) -> dict[str, Any]:
    message: dict[str, Any] = json.loads(await stream.get_message())
    return message


async def test_a_call_is_answered_with_its_id_its_output_and_its_signed_receipt(street: Street) -> None:
    async with opened(street) as stream:
        await say(stream, id="1", tool="read", arguments={"path": "a"}, session_id="s")
        told = await heard(stream)
    over_http = (await street.call({"tool": "read", "arguments": {"path": "a"}, "session_id": "s"})).json()
    assert told.keys() - {"id"} == over_http.keys()
    assert (told["id"], told["verdict"], told["status"], told["output"]) == ("1", "ALLOW", "SUCCESS", {"n": 1})
    assert told["receipt"]["tool"] == "read"
