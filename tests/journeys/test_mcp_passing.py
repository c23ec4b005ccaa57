"""What MCP has beside tools, through HELM: passed where the policy declares it, a governed call each, or refused."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from mcp.shared.exceptions import MCPError
from mcp_types import (
    METHOD_NOT_FOUND,
    CreateMessageResult,
    ElicitResult,
    ListRootsResult,
    PromptReference,
    Root,
    TextContent,
)

from helm.guardian.methods import METHODS
from tests.actors.cli.conftest import Made, made
from tests.actors.cli.shell import helm
from tests.journeys.test_mcp_wrap import receipts, say, wrapped
from tests.warm.python import python

__all__ = ["made"]

RICH = str(Path(__file__).parent.parent / "actors" / "connectors" / "mcp_rich.py")


async def sample(_: Any, __: Any) -> CreateMessageResult:
    return CreateMessageResult(role="assistant", content=TextContent(text="a thought"), model="m")


async def elicit(_: Any, __: Any) -> ElicitResult:
    return ElicitResult(action="accept", content={"colour": "red"})


async def roots(_: Any) -> ListRootsResult:
    return ListRootsResult(roots=[Root.model_validate({"uri": "file:///work"})])


ABLE: dict[str, Any] = {
    "sampling_callback": sample,
    "elicitation_callback": elicit,
    "list_roots_callback": roots,
}


async def pinned(made: Made, *methods: str, era: str = "modern") -> list[str]:
    """Declare and approve the server with these methods; return the words that start it."""
    server = [*python(), RICH, era]
    passed = [word for method in methods for word in ("--pass", method)]
    ended = await trio.to_thread.run_sync(partial(helm, "mcp", "pin", "wrapped", *passed, *made.option, "--", *server))
    assert ended.code == 0, ended.err
    await say(made, "mcp", "approve", "wrapped", "--reason", "a test")
    return server


def sealed(made: Made, tool: str) -> list[tuple[str, str]]:
    return [(one["status"], one["reason_code"]) for one in receipts(made) if one["tool"] == f"wrapped/{tool}"]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_what_the_policy_declares_is_passed_and_sealed(made: Made, mode: str) -> None:
    server = await pinned(made, *METHODS)
    async with wrapped(made, server, mode) as client:
        assert client.server_capabilities.prompts is not None
        listed = await client.list_resources()
        read = await client.read_resource("note://one")
        prompts = await client.list_prompts()
        prompt = await client.get_prompt("greet")
        complete = await client.complete(PromptReference(name="greet"), {"name": "colour", "value": ""})
        with pytest.raises(MCPError, match="no such prompt"):
            await client.get_prompt("other")
        assert {tool.name for tool in (await client.list_tools()).tools} == {
            "ask",
            "think",
            "where",
            "slowly",
            "forever",
        }
    assert [one.uri for one in listed.resources] == ["note://one"]
    assert read.contents[0].model_dump()["text"] == "read note://one"
    assert [one.name for one in prompts.prompts] == ["greet"]
    assert prompt.messages[0].content.model_dump()["text"] == "Hello."
    assert complete.completion.values == ["red", "green"]
    assert sealed(made, "resources/read") == [("SUCCESS", "")]
    assert sorted(sealed(made, "prompts/get")) == [("FAILED", "ERR_CONNECTOR_ERROR"), ("SUCCESS", "")]


async def test_what_the_policy_does_not_declare_is_refused_by_name_with_a_receipt(made: Made) -> None:
    server = await pinned(made, "resources/list")
    async with wrapped(made, server) as client:
        assert client.server_capabilities.prompts is None
        assert (await client.list_resources()).resources
        for ask in (
            partial(client.read_resource, "note://one"),
            partial(client.get_prompt, "greet"),
            partial(client.complete, PromptReference(name="greet"), {"name": "colour", "value": ""}),
        ):
            with pytest.raises(MCPError, match="NO_POLICY_DEFINED") as found:
                await ask()
            assert found.value.code == METHOD_NOT_FOUND
            assert found.value.error.data["helm/receipt_id"]
        with pytest.raises(MCPError, match="HELM does not serve it here"):
            async with client.listen(tools_list_changed=True):
                pass
    assert sealed(made, "resources/read") == sealed(made, "prompts/get") == [("DENIED", "NO_POLICY_DEFINED")]


async def test_a_resource_that_the_policy_leaves_out_is_not_read(made: Made) -> None:
    server = await pinned(made, "resources/read")
    path = made.path / "policy.toml"
    before = path.read_text()
    head, table, rest = before.partition('[tools."wrapped/resources/read"]')
    narrow = """input = '{"type": "object", "properties": {"uri": {"const": "note://one"}}, "required": ["uri"]}'"""
    path.write_text(
        head.replace("epoch = 2", "epoch = 3") + table + rest.replace('input = \'{"type": "object"}\'', narrow)
    )
    await say(made, "policy", "sign", str(path))
    async with wrapped(made, server) as client:
        assert (await client.read_resource("note://one")).contents
        with pytest.raises(MCPError, match="SCHEMA_VIOLATION"):
            await client.read_resource("note://other")
    assert sorted(sealed(made, "resources/read")) == [("DENIED", "SCHEMA_VIOLATION"), ("SUCCESS", "")]


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_a_server_asks_the_client_of_its_call_through_governed_calls(made: Made, era: str) -> None:
    server = await pinned(made, *METHODS, era=era)
    async with wrapped(made, server, "legacy", **ABLE) as client:
        colour = await client.call_tool("ask", {})
        thought = await client.call_tool("think", {})
        where = await client.call_tool("where", {})
    assert "red" in str(colour.content)
    assert "a thought" in str(thought.content)
    assert "file:///work" in str(where.content)
    for method in ("elicitation/create", "sampling/createMessage", "roots/list"):
        assert sealed(made, method) == [("SUCCESS", "")]


@pytest.mark.parametrize("era", ["legacy", "modern"])
async def test_a_server_that_may_not_ask_is_told_so(made: Made, era: str) -> None:
    server = await pinned(made, era=era)
    async with wrapped(made, server, "legacy", **ABLE) as client:
        asked = await client.call_tool("think", {})
    assert asked.is_error
    assert sealed(made, "sampling/createMessage") == []


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_client_that_cannot_be_asked_is_not(made: Made, mode: str) -> None:
    server = await pinned(made, *METHODS)
    async with wrapped(made, server, mode) as client:
        asked = await client.call_tool("ask", {})
    assert asked.is_error
    assert "did not say that it can do elicitation" in str(asked.content)
    assert sealed(made, "elicitation/create") == [("NOT_DISPATCHED", "ERR_CONNECTOR_ERROR")]


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_progress_reaches_the_client_that_asked_for_it(made: Made, mode: str) -> None:
    server = await pinned(made, "logging/setLevel")
    heard: list[tuple[float, str | None]] = []
    done = trio.Event()

    async def progress(progress: float, total: float | None, message: str | None) -> None:
        heard.append((progress, message))
        done.set()

    async with wrapped(made, server, mode) as client:
        answer = await client.call_tool("slowly", {}, progress_callback=progress)
        with trio.fail_after(20):
            await done.wait()
        quiet = await client.call_tool("slowly", {})
    assert not answer.is_error
    assert not quiet.is_error
    assert set(heard) <= {(1.0, "step 1"), (2.0, "step 2")}


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_a_call_that_its_client_takes_back_is_cancelled_over_there_and_sealed_as_unknown(
    made: Made, tmp_path: Path, mode: str
) -> None:
    server = await pinned(made)
    began, ended = tmp_path / "began", tmp_path / "ended"
    async with wrapped(made, server, mode) as client:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(client.call_tool, "forever", {"began": str(began), "ended": str(ended)})
                await there(began)
                scope.cancel()
        await there(ended)
        assert not (await client.call_tool("slowly", {})).is_error
    [cancelled] = [one for one in receipts(made) if one["tool"] == "wrapped.forever"]
    assert (cancelled["status"], cancelled["reason_code"]) == ("INDETERMINATE", "ERR_INDETERMINATE")


async def there(path: Path) -> None:
    """Wait for a file that another process makes."""
    with trio.fail_after(30):
        while not await trio.Path(path).exists():
            await trio.lowlevel.checkpoint()
