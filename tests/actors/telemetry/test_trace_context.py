"""A trace goes through HELM: in by a header or a message, on to whoever executes the call, and nothing else with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import pytest
import trio

from actors.connectors.http import HttpConnector
from actors.origin import traceparent_in
from helm.contracts.errors import Invalid
from tests.actors.connectors.mcp_address import at_address
from tests.actors.connectors.mcp_server import small
from tests.actors.connectors.orders import order
from tests.actors.connectors.server import Server, ok
from tests.actors.connectors.test_http import _connect, _connection, _order
from tests.actors.connectors.test_mcp_address import SUM, asked, at
from tests.actors.doors.mcp.test_http import opened, post, request
from tests.actors.puppet import Puppet

TRACEPARENT: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
NEARER: Final = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def test_an_http_service_gets_the_trace_and_no_other_header_of_the_caller(nursery: trio.Nursery) -> None:
    server = await Server(ok(b"1")).start(nursery)
    connector = _connect(server)
    await connector.dispatch(_order(server, {"id": "1"}, "read", traceparent=TRACEPARENT))
    await connector.dispatch(_order(server, {"id": "1"}, "read"))
    await connector.aclose()
    heads = [sent.lower().partition(b"\r\n\r\n")[0].split(b"\r\n") for sent in server.requests]
    assert set(heads[0]) - set(heads[1]) == {b"traceparent: " + TRACEPARENT.encode()}


def test_a_policy_does_not_set_the_trace() -> None:
    with pytest.raises(Invalid, match="HELM's to set"):
        HttpConnector(_connection(origin="http://api.example", headers={"Traceparent": TRACEPARENT}))


async def test_an_mcp_server_gets_the_trace_in_the_message_and_beside_it() -> None:
    async with at_address(small()) as (url, front), asked(at(url)) as connector:
        del front.seen[:]
        await connector.dispatch(order(SUM, operation="sum", traceparent=TRACEPARENT))
        (headers,) = [headers for _, headers, body in front.seen if b"tools/call" in body]
        (body,) = [body for _, _, body in front.seen if b"tools/call" in body]
    assert headers["traceparent"] == TRACEPARENT
    assert f'"traceparent":"{TRACEPARENT}"'.encode() in body.replace(b" ", b"")


@pytest.mark.parametrize(
    ("headers", "meta", "forwarded"),
    [
        ({"traceparent": TRACEPARENT}, {}, TRACEPARENT),
        ({"traceparent": TRACEPARENT}, {"traceparent": NEARER, "tracestate": "a=b", "baggage": "c=d"}, NEARER),
        ({}, {"traceparent": NEARER}, NEARER),
        ({"traceparent": TRACEPARENT}, {"traceparent": 7}, TRACEPARENT),
        ({"traceparent": "00-" + "0" * 32 + "-" + "0" * 16 + "-01"}, {}, ""),
    ],
    ids=["header", "message", "message alone", "no traceparent", "zeros"],
)
async def test_a_trace_comes_in_with_an_mcp_message(
    tmp_path: Path, headers: dict[str, str], meta: dict[str, Any], forwarded: str
) -> None:
    puppet = Puppet()
    async with opened(tmp_path, puppet) as there:
        message = request("tools/call", {"name": "read", "arguments": {}, "_meta": meta})
        reply = await post(there, message, accept="application/json, text/event-stream", **headers)
        assert reply.status_code == 200
        second = request("tools/call", {"name": "read", "arguments": {}})
        await post(there, second, accept="application/json, text/event-stream")
    assert [one.traceparent for one in puppet.orders] == [forwarded, ""]  # the one request's is not the next one's


@pytest.mark.parametrize("meta", [None, [], {}, {"traceparent": None}, {"traceparent": TRACEPARENT.upper()}])
def test_what_is_no_traceparent_is_none(meta: Any) -> None:
    assert traceparent_in(meta) == ""
