"""HELM between the official MCP client and a server: declared, quarantined, approved, called, revoked."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from mcp import StdioServerParameters
from mcp.client.client import Client

from actors.stores import lock
from tests.actors.cli.conftest import Made, made
from tests.actors.cli.shell import helm
from tests.actors.connectors.mcp_address import at_address
from tests.actors.connectors.mcp_server import small
from tests.counterparts.programs import npm_bin
from tests.warm.python import python

__all__ = ["made"]

SMALL = [*python(), str(Path(__file__).parent.parent / "actors" / "connectors" / "mcp_server.py")]


@asynccontextmanager
async def wrapped(made: Made, server: list[str], mode: Any = "auto", **more: Any) -> AsyncIterator[Client]:
    """Connect the SDK's client to a server through HELM, as its configuration would start both."""
    reach = server if server[0].startswith("--") else ["--", *server]
    words = [*python(), "-m", "actors.cli.main", "mcp", "wrap", *made.option, *reach]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HELM_")}
    kept |= {name: more.pop(name) for name in list(more) if name.isupper()}
    async with Client(StdioServerParameters(command=words[0], args=words[1:], env=kept), mode=mode, **more) as client:
        yield client


async def say(made: Made, *words: str) -> Any:
    """Have an operator type a command; return what it wrote."""
    ended = await trio.to_thread.run_sync(partial(helm, *words, "--json", *made.option))
    assert ended.code == 0, ended.err
    return ended.json()


def receipts(made: Made) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = helm("receipts", "list", "--json", *made.option).json()
    return found


async def test_a_server_is_quarantined_until_an_approver_has_looked(made: Made) -> None:
    async with wrapped(made, SMALL) as client:
        assert (await client.list_tools()).tools == []
        asked = await client.call_tool("sum", {"a": 1, "b": 2})
        assert asked.is_error
        assert "APPROVAL_REQUIRED" in str(asked.content)
    [server] = await say(made, "mcp", "list")
    assert (server["server_id"], server["state"], server["tool_names"]) == ("wrapped", "quarantined", ["say", "sum"])
    await say(made, "mcp", "approve", "wrapped", "--reason", "looked at both tools")
    async with wrapped(made, SMALL) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        answer = await client.call_tool("sum", {"a": 1, "b": 2})
        wrong = await client.call_tool("sum", {"a": "one", "b": 2})
    assert tools.keys() == {"say", "sum"}
    assert tools["sum"].description == "Adds two numbers."
    assert (answer.is_error, answer.structured_content) == (False, {"sum": 3})
    assert wrong.is_error
    await say(made, "mcp", "revoke", "wrapped", "--reason", "no longer needed")
    async with wrapped(made, SMALL) as client:
        assert (await client.list_tools()).tools == []
        assert "PDP_DENY" in str((await client.call_tool("sum", {"a": 1, "b": 2})).content)
    assert sorted(one["verdict"] for one in receipts(made)) == ["ALLOW", "DENY", "DENY", "ESCALATE"]


async def test_another_program_under_the_same_name_is_not_started(made: Made) -> None:
    async with wrapped(made, SMALL) as client:
        assert (await client.list_tools()).tools == []
    ended = await trio.to_thread.run_sync(
        partial(helm, "mcp", "wrap", *made.option, "--", sys.executable, "-c", "print('hello')")
    )
    assert ended.code == 1
    assert "not the command that the policy declares" in ended.err


def test_beside_a_running_kernel_nothing_is_declared(made: Made) -> None:
    before = (made.path / "policy.toml").read_bytes()
    path = made.place().journal_path
    held = lock.take(path.with_name(f"{path.name}.lock"))
    try:
        ended = helm("mcp", "wrap", *made.option, "--", *SMALL)
    finally:
        os.close(held)
    assert ended.code == 1
    assert "another kernel writes this journal" in ended.err
    assert (made.path / "policy.toml").read_bytes() == before


def test_a_name_that_the_policy_has_already_is_said_to_be_taken(made: Made) -> None:
    before = (made.path / "policy.toml").read_bytes()
    taken = helm("mcp", "pin", "files", *made.option, "--", *SMALL)
    wrapped_under_it = helm("mcp", "wrap", "--server-id", "files", *made.option, "--", *SMALL)
    assert (taken.code, wrapped_under_it.code) == (1, 1)
    assert "has a connector called files already" in taken.err
    assert "files of the policy is no MCP server" in wrapped_under_it.err
    assert (made.path / "policy.toml").read_bytes() == before
    assert helm("mcp", "pin", "small", *made.option, "--", *SMALL).code == 0
    again = helm("mcp", "pin", "small", *made.option, "--", *SMALL)
    assert again.code == 1
    assert "to pin it anew" in again.err


def test_a_program_that_is_no_server_is_not_declared(made: Made) -> None:
    before = (made.path / "policy.toml").read_bytes()
    ended = helm("mcp", "pin", "odd", *made.option, "--", sys.executable, "-c", "print('hello')")
    assert ended.code == 1
    assert (made.path / "policy.toml").read_bytes() == before


def test_what_would_be_declared_can_be_read_first(made: Made) -> None:
    before = (made.path / "policy.toml").read_bytes()
    ended = helm("mcp", "pin", "small", "--dry-run", "--risk-tier", "T1", *made.option, "--", *SMALL)
    assert ended.code == 0
    assert 'pin = "sha256:' in ended.out
    assert 'risk_tier = "T1"' in ended.out
    assert (made.path / "policy.toml").read_bytes() == before


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_server_of_another_make_serves_files_through_helm(made: Made, tmp_path: Path, mode: str) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "plan.txt").write_text("measure twice")
    server = [*npm_bin("mcp-server-filesystem"), str(tmp_path / "shared")]
    await say(made, "mcp", "list")
    pinned = await trio.to_thread.run_sync(partial(helm, "mcp", "pin", "wrapped", *made.option, "--", *server))
    assert pinned.code == 0, pinned.err
    await say(made, "mcp", "approve", "wrapped", "--reason", "its directory holds nothing secret")
    async with wrapped(made, server, mode) as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        read = await client.call_tool("read_text_file", {"path": str(tmp_path / "shared" / "plan.txt")})
        outside = await client.call_tool("read_text_file", {"path": "/etc/passwd"})
    assert "read_text_file" in tools
    assert "measure twice" in str(read.content)
    assert outside.is_error


async def test_everything_that_the_reference_server_lists_is_pinned_or_named(made: Made) -> None:
    server = npm_bin("mcp-server-everything")
    pinned = await trio.to_thread.run_sync(partial(helm, "mcp", "pin", "wrapped", *made.option, "--", *server))
    assert pinned.code == 0, pinned.err
    await say(made, "mcp", "approve", "wrapped", "--reason", "a reference")
    async with wrapped(made, server) as client:
        echoed = await client.call_tool("echo", {"message": "hello"})
    assert "hello" in str(echoed.content)


async def test_a_server_at_an_address_is_wrapped_like_a_program(made: Made) -> None:
    async with at_address(small()) as (url, front):
        reach = ["--url", url, "--allow-private", "--bearer", "SMALL_TOKEN"]
        async with wrapped(made, reach, SMALL_TOKEN="s3cret") as client:
            assert (await client.list_tools()).tools == []
        await say(made, "mcp", "approve", "wrapped", "--reason", "looked at both tools")
        async with wrapped(made, reach, SMALL_TOKEN="s3cret") as client:
            answer = await client.call_tool("sum", {"a": 1, "b": 2})
        other = await trio.to_thread.run_sync(partial(helm, "mcp", "wrap", *made.option, "--url", f"{url}/other"))
    assert answer.structured_content == {"sum": 3}
    assert {headers["authorization"] for _, headers, _ in front.seen} == {"Bearer s3cret"}
    assert "s3cret" not in (made.path / "policy.toml").read_text()
    assert other.code == 1
    assert "not the command that the policy declares" in other.err


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--url", "https://a.example", "--", "npx"],
        ["--bearer", "TOKEN", "--", "npx"],
        ["--url", "https://a.example", "--env", "A"],
    ],
    ids=str,
)
def test_a_server_is_said_to_be_in_one_place(made: Made, words: list[str]) -> None:
    before = (made.path / "policy.toml").read_bytes()
    ended = helm("mcp", "pin", "odd", *made.option, *words)
    assert ended.code == 1, ended.err
    assert (made.path / "policy.toml").read_bytes() == before


async def test_a_server_whose_tool_shadows_anothers_is_named_and_reaches_no_call(made: Made) -> None:
    """Tool shadowing: the second server lists `sum` too, and the first one's clients go on calling the first one's."""
    first = await trio.to_thread.run_sync(partial(helm, "mcp", "pin", "wrapped", *made.option, "--", *SMALL))
    second = await trio.to_thread.run_sync(partial(helm, "mcp", "pin", "rogue", *made.option, "--", *SMALL, "drifted"))
    third = await trio.to_thread.run_sync(partial(helm, "mcp", "pin", "wrappeb", *made.option, "--", *SMALL))
    fourth = await trio.to_thread.run_sync(partial(helm, "mcp", "pin", "vvrapped", *made.option, "--", *SMALL))
    assert (first.code, second.code, third.code, fourth.code) == (0, 0, 0, 1)
    assert "the name sum shadows wrapped.sum" in second.err
    assert "looks like" in fourth.err
    await say(made, "mcp", "approve", "wrapped", "--reason", "looked at both tools")
    async with wrapped(made, SMALL) as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == {"say", "sum"}
        assert "id_rsa" not in str((await client.list_tools()).tools)
        assert not (await client.call_tool("sum", {"a": 1, "b": 2})).is_error
    assert [one["tool"] for one in receipts(made)] == ["wrapped.sum"]
