"""Progress over HTTP: told before the answer to whoever asked for it, and to nobody else."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import trio

from actors.cli.mcp.declaring import Terms, declaration
from actors.connectors.mcp import McpConnector, look_at, pins_for
from actors.doors.heading import heading_of
from actors.doors.mcp.events import Events
from actors.doors.told import Told
from helm.guardian.bundle_servers import MAX_BYTES
from helm.guardian.connection import McpConnection
from tests.actors.doors.mcp.test_http import post, request
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.journeys.gateway import Gateway, build, gateway
from tests.journeys.test_mediation import approval
from tests.warm.python import python

RICH = str(Path(__file__).parents[2] / "connectors" / "mcp_rich.py")


@asynccontextmanager
async def opened(tmp_path: Path) -> AsyncIterator[Gateway]:
    """Open a gateway with a server behind it that tells of progress."""
    connection = McpConnection(name="small", command=(*python(), RICH), max_response_bytes=MAX_BYTES)
    house = build(tmp_path / "data")
    signed = house.sign(f"{POLICY}\n{declaration(connection, await look_at(connection), Terms())}")
    connector = McpConnector(connection, pins_for(signed.policy, "small"))
    connectors: dict[str, Any] = {"local": Puppet(), "other": Puppet(), "small": connector}
    async with gateway(house, signed, connectors) as at:
        await at.kernel.command(approval(at, signed))
        await connector.listed()
        yield at


async def test_progress_comes_before_the_answer_of_whoever_takes_events(tmp_path: Path) -> None:
    asked = request("tools/call", {"name": "small.slowly", "arguments": {}, "_meta": {"progressToken": 1}})
    async with opened(tmp_path) as at:
        plain = await post(at, asked, accept="application/json")
        events = await post(at, asked, accept="application/json, text/event-stream")
        failed = await post(at, request("tools/call", {"name": "", "_meta": {"progressToken": 1}}), accept="*/*")
    assert plain.headers["content-type"] == "application/json"
    assert plain.json()["result"]["isError"] is False
    assert events.headers["content-type"] == "text/event-stream"
    messages = told_in(events)  # read by hand: the SDK's client leaves its generators to the collector, which warns
    assert [one["method"] for one in messages[:-1]] == ["notifications/progress"] * (len(messages) - 1)
    assert messages[-1]["result"]["isError"] is False
    assert failed.status_code == 400


def told_in(response: httpx2.Response) -> list[Any]:
    """Return the messages of a stream of events."""
    return [json.loads(line.removeprefix("data: ")) for line in response.text.splitlines() if line.startswith("data: ")]


async def test_what_is_told_after_the_answer_is_told_to_nobody() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        await trio.lowlevel.checkpoint()
        sent.append(message)

    events = Events(heading_of([(b"accept", b"text/event-stream")]), send)
    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(events.tell, b"{}")
    await events.finish(Told(200, [], b'{"id":1}'))
    assert not await events.tell(b"{}")
    assert [one["type"] for one in sent] == ["http.response.start", *["http.response.body"] * 4]
    assert sent[-1] == {"type": "http.response.body", "body": b'event: message\ndata: {"id":1}\n\n', "more_body": False}
