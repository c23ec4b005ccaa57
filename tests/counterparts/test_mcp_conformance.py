"""MCP's own conformance suite, through HELM: a server behind it, a bearer key before it, both eras on one path."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import trio

from actors.cli.mcp.declaring import Terms, declaration
from actors.commands.servers import CommandServer
from actors.connectors.mcp import McpConnector, look_at, pins_for
from actors.doors.mcp.core import Core
from actors.doors.mcp.http import MCP
from actors.doors.serve import Door
from actors.process.clock import SystemClock
from helm.guardian.bundle_servers import MAX_BYTES
from helm.guardian.connection import McpConnection
from helm.guardian.methods import OF_SERVER
from helm.guardian.servers import APPROVE, ServerCommand, sign_server_command
from tests.actors.policies import POLICY
from tests.counterparts.programs import npm_bin
from tests.journeys.gateway import Gateway, build, gateway

SERVER: Final = str(Path(__file__).with_name("mcp_everything.py"))

TOOLS: Final = ("tools-list", "tools-call-simple-text", "tools-call-image", "tools-call-audio")
CONTENT: Final = (
    "tools-call-embedded-resource",
    "tools-call-mixed-content",
    "tools-call-error",
    "tools-call-with-progress",
)
PASSED: Final = (
    "resources-list",
    "resources-read-text",
    "resources-read-binary",
    "resources-templates-read",
    "prompts-list",
    "prompts-get-simple",
    "prompts-get-with-args",
    "prompts-get-embedded-resource",
    "prompts-get-with-image",
    "completion-complete",
)
SCENARIOS: Final = {
    "2025-11-25": ("server-initialize", "ping", "dns-rebinding-protection", *TOOLS, *CONTENT, *PASSED),
    "2026-07-28": (
        "http-header-validation",
        "dns-rebinding-protection",
        *TOOLS,
        *CONTENT,
        *PASSED,
        "sep-2164-resource-not-found",
        "caching",
    ),
}
"""What HELM serves over HTTP. Refused by name: sampling, elicitation and roots (no client
can be asked here; over stdio they pass), subscriptions, sessions and streams. The scenarios of
`input-required-result` and `server-stateless` want tools that ask a client of 2026-07-28 for things."""


@asynccontextmanager
async def before_the_suite(at: Gateway, key: str) -> AsyncIterator[str]:
    """Put the agent's key into every request: the suite has no place for one. Yields where it is to ask."""
    port = int(at.url.rsplit(":", 1)[1])

    async def forward(client: trio.SocketStream) -> None:
        async with client, await trio.open_tcp_stream("127.0.0.1", port) as server, trio.open_nursery() as nursery:
            nursery.start_soon(copy, server, client, b"")
            await copy(client, server, f"authorization: Bearer {key}\r\n".encode())
            nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        [listener] = await nursery.start(partial(trio.serve_tcp, forward, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listener.socket.getsockname()[1]}{MCP}"
        nursery.cancel_scope.cancel()


async def copy(source: trio.SocketStream, sink: trio.SocketStream, line: bytes) -> None:
    """Pass on what comes, with one more line behind every request's first."""
    try:
        async for piece in source:
            if line:
                head, found, rest = bytes(piece).partition(b" HTTP/1.1\r\n")
                piece = head + found + (line if found else b"") + rest  # noqa: PLW2901 - the piece with its line
            await sink.send_all(piece)
    except (trio.BrokenResourceError, trio.ClosedResourceError):
        pass


@asynccontextmanager
async def wrapped(tmp_path: Path) -> AsyncIterator[str]:
    """Serve the suite's server through HELM, approved; yield the address that takes no key."""
    connection = McpConnection(
        name="suite", command=(sys.executable, SERVER), environment=(), max_response_bytes=MAX_BYTES
    )
    policy = f"{POLICY}\n{declaration(connection, await look_at(connection), Terms(methods=tuple(sorted(OF_SERVER))))}"
    house = build(tmp_path / "data")
    signed = house.sign(policy)
    connector = McpConnector(connection, pins_for(signed.policy, "suite"))
    connectors: dict[str, Any] = {"local": connector, "other": connector, "suite": connector}
    async with gateway(house, signed, connectors) as at:
        key = house.place.approval_key()
        command = ServerCommand(
            action=APPROVE,
            expires_at_ms=SystemClock().now_ms() + 86_400_000,
            issued_at_ms=0,
            key_id=key.key_id,
            log_id=house.place.log_id,
            pins_hash=signed.policy.server_pins["suite"],
            reason="the suite's own",
            sequence=1,
            server_id="suite",
        )
        await at.kernel.command(
            CommandServer(command, sign_server_command(command, key), at.kernel.parts.state.registry)
        )
        await connector.listed()
        before_one_server(at.door)
        async with before_the_suite(at, house.keys["agent"]) as url:
            yield url


def before_one_server(door: Door) -> None:
    """Let the MCP door serve one server under its own names, as `helm mcp wrap` does."""
    front: Any = door.service.app
    mcp = front.paths[MCP]
    mcp.core = Core(mcp.core.entry, mcp.core.max_bytes, "suite")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("revision", SCENARIOS)
async def test_the_suite_passes_as_far_as_helm_serves(revision: str, tmp_path: Path) -> None:
    program, failed = npm_bin("conformance"), {}
    async with wrapped(tmp_path) as url:
        for scenario in SCENARIOS[revision]:
            words = [*program, "server", "--url", url, "--scenario", scenario, "--spec-version", revision]
            run = partial(subprocess.run, words, capture_output=True, text=True, timeout=90, check=False, cwd=tmp_path)
            ended = await trio.to_thread.run_sync(run)
            if ended.returncode:
                failed[scenario] = ended.stdout[-3000:] + ended.stderr[-1000:]
    assert failed == {}
