"""Direct upstream bypass: the same server, through HELM and round it."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from mcp import StdioServerParameters
from mcp.client.client import Client
from mcp.shared.exceptions import MCPError

from actors.bypass_report import read_report
from actors.permit_gate import GatedApp, PermitGate
from helm.crypto.ed25519 import PublicKey
from helm.executor.outbound import Trusted
from tests.actors.cli.conftest import Made, made
from tests.actors.cli.shell import helm
from tests.actors.connectors.mcp_address import at_address
from tests.actors.connectors.mcp_server import small
from tests.journeys.test_mcp_wrap import say, wrapped
from tests.warm.python import python

__all__ = ["made"]

GATED = str(Path(__file__).parent.parent / "actors" / "connectors" / "mcp_gated.py")
SUM = {"a": 1, "b": 2}


async def key_of(made: Made) -> tuple[str, str]:
    told = await say(made, "mcp", "permit-key")
    return told["log_id"], told["public_key"]


async def admit(made: Made, *reach: str) -> None:
    """Declare and approve the server, which is shown permits."""
    words = ["--permits", *made.option, *reach]
    pinned = await trio.to_thread.run_sync(partial(helm, "mcp", "pin", "wrapped", *words))
    assert pinned.code == 0, pinned.err
    await say(made, "mcp", "approve", "wrapped", "--reason", "a test")


async def test_a_program_that_demands_permits_serves_helm_alone(made: Made, tmp_path: Path) -> None:
    report = tmp_path / "bypasses.jsonl"
    server = [*python(), GATED, *await key_of(made), str(report)]
    await admit(made, "--", *server)
    async with wrapped(made, ["--permits", "--", *server]) as client:
        for _ in range(2):
            assert (await client.call_tool("sum", SUM)).structured_content == {"sum": 3}
    assert not await trio.Path(report).exists()
    async with Client(StdioServerParameters(command=server[0], args=server[1:])) as client:
        with pytest.raises(MCPError, match="did not come through HELM: no permit"):
            await client.call_tool("sum", SUM)
    [line] = read_report(report)
    assert (line["reason_code"], line["operation"], line["direct_dispatch_seen"]) == ("PROVENANCE_FAILURE", "sum", True)


async def test_an_address_that_demands_permits_takes_each_once(made: Made, tmp_path: Path) -> None:
    report = tmp_path / "bypasses.jsonl"
    log_id, key = await key_of(made)
    public = PublicKey.from_hex(key)
    gate = PermitGate(Trusted({public.key_id: public}, log_id, "wrapped"), report)
    async with at_address(small(), json_response=True) as (url, front):
        front.app = GatedApp(front.app, gate)
        reach = ["--url", url, "--allow-private", "--permits"]
        await admit(made, *reach[:-1])
        async with wrapped(made, reach) as client:
            assert (await client.call_tool("sum", SUM)).structured_content == {"sum": 3}
        [heard] = [headers["x-helm-permit"] for _, headers, body in front.seen if b"tools/call" in body]
        async with Client(url) as client:
            with pytest.raises(MCPError):
                await client.call_tool("sum", SUM)
            meta: Any = {"helm/permit": urlsafe_b64decode(heard).decode()}
            with pytest.raises(MCPError):
                await client.call_tool("sum", SUM, meta=meta)
            with pytest.raises(MCPError):
                await client.call_tool("sum", {"a": 40, "b": 2}, meta=meta)
    reasons = [line["reason"].rpartition("HELM: ")[2] for line in read_report(report)]
    assert reasons == [
        "no permit",
        "a permit that was taken before",
        "a permit for another operation, or for other arguments",
    ]
