"""What HELM writes into a client's file is launched as written: a governed call goes through, and leaves a receipt."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
from mcp import StdioServerParameters
from mcp.client.client import Client

from helm.mcp import jsonc
from helm.mcp.clients import CLIENTS
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm

SMALL = [sys.executable, str(Path(__file__).parent.parent / "actors" / "connectors" / "mcp_server.py")]

READS: dict[str, Callable[[str], Any]] = {"vscode": lambda text: jsonc.read(text, "mcp.json"), "codex": tomllib.loads}
"""How a client reads its file, where that is not plain JSON."""

OTHERS = {
    "vscode": '{\n  // mine\n  "servers": {"mine": {"type": "http", "url": "https://a.example"},},\n}\n',
    "codex": 'model = "o9"\n\n[mcp_servers.mine]\ncommand = "mine"\n',
}


@pytest.fixture(scope="module")
def approved(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Return a data directory with one server that is pinned and approved."""
    ended = helm("init", str(tmp_path_factory.mktemp("clients") / "data"), "--json")
    made = Made(
        **{name: ended.json()[name] for name in ("tenant_key", "admin_key", "log_id")},
        path=Path(ended.json()["data_dir"]),
    )
    for words in (
        ("pin", "small", *made.option, "--", *SMALL),
        ("approve", "small", "--reason", "a test", *made.option),
    ):
        ended = helm("mcp", *words)
        assert ended.code == 0, ended.err
    return made


@attrs.frozen
class Launched:
    """What a client found behind an entry."""

    tools: set[str]
    answer: Any


async def launch(entry: dict[str, Any], folder: Path, tool: str) -> Launched:
    """Start what an entry says, as a client does: with few variables, in a folder that somebody else filled."""
    (folder / "actors").mkdir(parents=True)
    (folder / "actors" / "__init__.py").write_text("raise SystemExit('a stranger was imported')")
    words = StdioServerParameters(command=entry["command"], args=entry["args"], cwd=folder)
    async with Client(words) as client:
        tools = {one.name for one in (await client.list_tools()).tools}
        return Launched(tools, await client.call_tool(tool, {"a": 1, "b": 2}))


def receipts(made: Made) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = helm("receipts", "list", "--json", *made.option).json()
    return found


def written(approved: Made, file: Path, name: str) -> dict[str, Any]:
    """Return the entry that HELM wrote into a client's own file, beside what was there."""
    file.write_text(OTHERS.get(name, '{"mcpServers": {"mine": {"command": "mine"}}}'))
    words = ("mcp", "install", "--client", name, "--server", "small", "--config", str(file), *approved.option)
    ended = helm(*words)
    assert ended.code == 0, ended.err
    servers = READS.get(name, json.loads)(file.read_text())[CLIENTS[name].members[0]]
    assert set(servers) == {"mine", "small"}
    entry: dict[str, Any] = servers["small"]
    assert entry.get("type", "stdio") == "stdio"
    return entry


async def test_a_client_calls_through_what_was_written(approved: Made, tmp_path: Path) -> None:
    entry = await trio.to_thread.run_sync(written, approved, tmp_path / "config", "claude-desktop")
    before = len(receipts(approved))
    launched = await launch(entry, tmp_path / "project", "sum")
    assert launched.tools == {"sum", "say"}
    assert launched.answer.structured_content == {"sum": 3}
    [newest, *_] = receipts(approved)
    assert len(receipts(approved)) == before + 1
    assert newest["verdict"] == "ALLOW"


@pytest.mark.parametrize("name", CLIENTS)
def test_every_client_is_told_to_start_the_very_same(approved: Made, tmp_path: Path, name: str) -> None:
    """What one of them calls through is what each of them calls through: the words differ in their file alone."""
    tried, entry = (written(approved, tmp_path / one, one) for one in ("claude-desktop", name))
    assert (entry["command"], entry["args"]) == (tried["command"], tried["args"])
    assert entry.keys() <= {"command", "args", "type"}


async def test_a_client_of_all_tools_calls_through_what_was_printed(approved: Made, tmp_path: Path) -> None:
    words = ("mcp", "print-config", "--client", "claude-desktop", *approved.option)
    ended = await trio.to_thread.run_sync(partial(helm, *words))
    entry = json.loads(ended.out)["mcpServers"]["helm"]
    launched = await launch(entry, tmp_path / "project", "small.sum")
    assert launched.tools >= {"small.sum", "small.say", "files.read"}
    assert launched.answer.structured_content == {"sum": 3}
