"""A bundle that HELM packed is unpacked and launched as its manifest says: a governed call goes through."""

from __future__ import annotations

import json
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from mcp import StdioServerParameters
from mcp.client.client import Client

from actors.cli.mcp.launching import program
from tests.actors.cli.conftest import Made, made
from tests.actors.cli.shell import helm
from tests.warm.python import python

__all__ = ["made"]

SMALL = [*python(), str(Path(__file__).parent.parent / "actors" / "connectors" / "mcp_server.py"), "it's $HOME"]


@pytest.fixture
def approved(made: Made) -> Made:
    """Return a data directory with one server that is pinned and approved, and is told a secret."""
    words = ("pin", "small", "--env", "SPOKEN", *made.option, "--", *SMALL)
    for ended in (helm("mcp", *words), helm("mcp", "approve", "small", "--reason", "a test", *made.option)):
        assert ended.code == 0, ended.err
    return made


def opened(bundle: Path, folder: Path, answers: dict[str, str]) -> StdioServerParameters:
    """Unpack a bundle as a client does, and return what its manifest says is to be started."""
    with zipfile.ZipFile(bundle) as archive:
        archive.extractall(folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    asked = manifest["user_config"]
    assert {name for name, one in asked.items() if one["required"]} == set(answers)
    names = {"__dirname": str(folder)} | {f"user_config.{name}": said for name, said in answers.items()}

    def said(text: str) -> str:
        for name, value in names.items():
            text = text.replace(f"${{{name}}}", value)
        return text

    config: dict[str, Any] = manifest["server"]["mcp_config"]
    environment = {name: said(text) for name, text in config["env"].items()}
    return StdioServerParameters(
        command=said(config["command"]), args=[said(one) for one in config["args"]], env=environment
    )


def program_file(folder: Path) -> str:
    """Return one file that is the program helm, wherever these tests run."""
    path = folder / "helm"
    path.write_text("#!/bin/sh\nexec " + " ".join(f"'{word}'" for word in program()) + ' "$@"\n')
    path.chmod(0o755)
    return str(path)


async def test_a_bundle_is_launched_as_its_manifest_says(approved: Made, tmp_path: Path) -> None:
    bundle = tmp_path / "small.mcpb"
    ended = await trio.to_thread.run_sync(partial(helm, "mcp", "pack", "small", "--out", str(bundle), *approved.option))
    assert ended.code == 0, ended.err
    answers = {"data_dir": str(approved.path), "helm": program_file(tmp_path), "spoken": "a secret"}
    launched = opened(bundle, tmp_path / "unpacked", answers)
    async with Client(launched) as client:
        tools = {one.name for one in (await client.list_tools()).tools}
        total = await client.call_tool("sum", {"a": 1, "b": 2})
        spoken = await client.call_tool("say", {})
    assert tools == {"sum", "say"}
    assert total.structured_content == {"sum": 3}
    assert "a secret" in str(spoken.content)
    receipts = helm("receipts", "list", "--json", *approved.option).json()
    assert [one["verdict"] for one in receipts] == ["ALLOW", "ALLOW"]


def test_a_bundle_holds_what_its_policy_says_and_is_the_same_every_time(approved: Made, tmp_path: Path) -> None:
    contents = []
    for name in ("one", "two"):
        path = tmp_path / f"{name}.mcpb"
        ended = helm("mcp", "pack", "small", "--out", str(path), "--json", *approved.option)
        assert ended.code == 0
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]
    with zipfile.ZipFile(tmp_path / "one.mcpb") as archive:
        assert archive.namelist() == ["manifest.json", "server/launch"]
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["manifest_version"] == "0.3"
    assert {"name", "version", "description", "author", "server"} <= manifest.keys()
    assert [one["name"] for one in manifest["tools"]] == ["say", "sum"]
    assert str(approved.path).encode() not in contents[0]
    assert approved.tenant_key.encode() not in contents[0]


def test_what_cannot_be_packed_is_said(approved: Made, tmp_path: Path) -> None:
    assert helm("mcp", "pack", "nobody", "--out", str(tmp_path / "a.mcpb"), *approved.option).code == 1
    assert helm("mcp", "pack", "small", "--out", str(tmp_path / "no" / "a.mcpb"), *approved.option).code == 1
    assert list(tmp_path.glob("**/*.mcpb")) == []
