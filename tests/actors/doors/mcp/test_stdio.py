"""MCP over stdio: the SDK's client starts the program as a configuration would; then a client that misbehaves."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest
from mcp import StdioServerParameters
from mcp.client.client import Client

from actors.doors.mcp.stdio import TooLong, lines
from tests.actors.cli.conftest import Made, made
from tests.actors.cli.shell import helm
from tests.warm.python import python

__all__ = ["made"]

PROGRAM = [*python(), "-m", "actors.cli.main", "mcp", "serve"]


def clean() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("HELM_")}


@pytest.mark.parametrize("mode", ["legacy", "2026-07-28", "auto"])
async def test_the_official_client_starts_helm_and_calls_a_tool(made: Made, mode: Any) -> None:
    started = StdioServerParameters(command=PROGRAM[0], args=[*PROGRAM[1:], *made.option], env=clean())
    async with Client(started, mode=mode) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        read = await client.call_tool("files.read", {"path": "public/readme.txt"})
        refused = await client.call_tool("files.read", {"path": "../bearer.json"})
    assert "files.read" in tools
    assert not read.is_error
    assert refused.is_error
    receipts = helm("receipts", "list", "--json", *made.option).json()
    assert {(one["door"], one["transport"]) for one in receipts} == {("mcp", "stdio")}
    assert sorted(one["status"] for one in receipts) == ["DENIED", "SUCCESS"]


def typed(made: Made, *said: bytes) -> subprocess.CompletedProcess[bytes]:
    """Run the program on these bytes, to its end."""
    words = [*PROGRAM, *made.option]
    return subprocess.run(words, input=b"".join(said), capture_output=True, env=clean(), timeout=60, check=False)


def line(method: str, number: int, **params: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode() + b"\n"


def test_what_was_asked_is_answered_after_the_client_closed_its_side(made: Made) -> None:
    calls = [line("tools/call", n, name="files.read", arguments={"path": "public/readme.txt"}) for n in range(20)]
    ended = typed(made, *calls)
    answers = [json.loads(one) for one in ended.stdout.splitlines()]
    assert ended.returncode == 0
    assert sorted(answer["id"] for answer in answers) == list(range(20))
    assert not any(answer["result"]["isError"] for answer in answers)


def test_a_line_that_is_no_message_is_answered_and_the_next_one_too(made: Made) -> None:
    ended = typed(made, b"{\n\n[]\n", b'{"jsonrpc":"2.0","method":"notifications/odd"}\n', line("ping", 7))
    answers = [json.loads(one) for one in ended.stdout.splitlines()]
    assert sorted(answer.get("error", {}).get("code", 0) for answer in answers) == [-32700, -32600, 0]


def test_a_line_without_an_end_is_not_kept(made: Made) -> None:
    ended = typed(made, b"[" * (8 * 1024 * 1024))
    assert ended.returncode == 1
    assert b"a line of more than" in ended.stderr
    assert ended.stdout == b""


class Pieces:
    """What arrives, piece by piece."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces = [*pieces, b""]

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        """Return the next piece."""
        return self.pieces.pop(0)


async def test_lines_are_put_together_from_pieces() -> None:
    source: Any = Pieces(b'{"a"', b":1}\n\r\n{", b'"b":2}\n{"half')
    assert [one async for one in lines(source, 100)] == [b'{"a":1}', b'{"b":2}']


async def test_a_line_of_many_pieces_is_bounded() -> None:
    source: Any = Pieces(b"x" * 60, b"x" * 60)
    with pytest.raises(TooLong):
        assert not [one async for one in lines(source, 100)]
