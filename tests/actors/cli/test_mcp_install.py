"""helm mcp install: a client's file is changed in one step, beside a backup, and put back byte for byte."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from helm.mcp.clients import CLIENTS
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import helm

SERVER = """
[connectors.notes]
kind = "mcp"
command = ["npx", "-y", "some-server@1.2.3", "a b"]
environment = ["TOKEN"]

[connectors.far]
kind = "mcp"
url = "https://tools.example/mcp"
bearer = "FAR_TOKEN"
"""


@pytest.fixture
def known(made: Made) -> Made:
    """Return a data directory whose policy declares servers."""
    policy = made.path / "policy.toml"
    policy.write_text(policy.read_text() + SERVER)
    return made


def listed(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir() if one.name != "data")


@pytest.mark.parametrize("client", CLIENTS)
def test_what_is_put_in_is_taken_out_byte_for_byte(known: Made, tmp_path: Path, client: str) -> None:
    file = tmp_path / "conf"
    before = b"a = 1 # mine\n" if client == "codex" else b'{\n\t"theme" : "dark"}'
    file.write_bytes(before)
    file.chmod(0o640)
    words = ("mcp", "install", "--client", client, "--server", "notes", "--config", str(file), *known.option)
    assert helm(*words).code == 0
    assert file.read_bytes() != before
    assert file.stat().st_mode & 0o777 == 0o640
    assert helm(*words).code == 0  # twice is once
    assert len(listed(tmp_path)) == 2
    assert helm(*words, "--undo").code == 0
    assert file.read_bytes() == before
    assert file.stat().st_mode & 0o777 == 0o640
    assert listed(tmp_path) == ["conf"]
    assert helm(*words, "--undo").code == 1


def test_a_file_that_was_not_there_is_gone_again(known: Made, tmp_path: Path) -> None:
    file = tmp_path / "deep" / "er" / "mcp.json"
    words = ("mcp", "install", "--client", "cursor", "--config", str(file), *known.option)
    assert helm(*words).code == 0
    assert list(json.loads(file.read_text())["mcpServers"]) == ["helm"]
    assert helm(*words, "--undo").code == 0
    assert list(file.parent.iterdir()) == []


def test_what_somebody_changed_since_is_not_undone(known: Made, tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    words = ("mcp", "install", "--client", "cursor", "--config", str(file), *known.option)
    assert helm(*words).code == 0
    file.write_text(file.read_text() + "\n")
    changed = file.read_bytes()
    ended = helm(*words, "--undo")
    assert ended.code == 1
    assert "helm-absent" in ended.err
    assert file.read_bytes() == changed


def test_two_changes_are_undone_one_after_the_other(known: Made, tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    words = ("mcp", "install", "--client", "vscode", "--config", str(file), *known.option)
    for more in ((), ("--server", "notes")):
        assert helm(*words, *more).code == 0
    assert list(json.loads(file.read_text())["servers"]) == ["notes", "helm"]
    assert helm(*words, "--undo").code == 0
    assert list(json.loads(file.read_text())["servers"]) == ["helm"]
    assert helm(*words, "--undo").code == 0
    assert listed(tmp_path) == []


def test_an_entry_of_somebody_else_stays(known: Made, tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text('{"mcpServers": {"notes": {"command": "npx"}}}')
    before = file.read_bytes()
    words = ("mcp", "install", "--client", "cursor", "--server", "notes", "--config", str(file), *known.option)
    ended = helm(*words)
    assert ended.code == 1
    assert "another entry" in ended.err
    assert file.read_bytes() == before
    assert listed(tmp_path) == ["mcp.json"]


def test_a_dry_run_says_what_it_would_do(known: Made, tmp_path: Path) -> None:
    file = tmp_path / "mcp.json"
    file.write_text('{"mcpServers": {}}')
    ended = helm("mcp", "install", "--client", "cursor", "--config", str(file), "--dry-run", *known.option)
    assert ended.code == 0
    assert '+  "mcpServers"' in ended.out or '+    "helm"' in ended.out
    assert file.read_text() == '{"mcpServers": {}}'


def test_a_link_stays_a_link(known: Made, tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("{}")
    (tmp_path / "link.json").symlink_to(tmp_path / "real.json")
    ended = helm("mcp", "install", "--client", "cursor", "--config", str(tmp_path / "link.json"), *known.option)
    assert ended.code == 0
    assert (tmp_path / "link.json").is_symlink()
    assert "helm" in (tmp_path / "real.json").read_text()


def test_a_file_that_cannot_be_understood_is_left_alone(known: Made, tmp_path: Path) -> None:
    for raw in (b"\xff{}", b"\xef\xbb\xbf{}", b"{"):
        (tmp_path / "mcp.json").write_bytes(raw)
        words = ("--client", "cursor", "--config", str(tmp_path / "mcp.json"))
        assert helm("mcp", "install", *words, *known.option).code == 1
        assert (tmp_path / "mcp.json").read_bytes() == raw


def test_every_server_is_started_through_helm(known: Made, tmp_path: Path) -> None:
    ended = helm("mcp", "print-config", "--client", "codex", "--server", "notes", *known.option)
    assert ended.code == 0
    entry = tomllib.loads(ended.out)["mcp_servers"]["notes"]
    assert Path(entry["command"]).is_absolute()
    data = str(known.path.resolve())
    wrap = ["mcp", "wrap", "--data-dir", data, "--server-id"]
    rest = ["--env", "TOKEN", "--", "npx", "-y", "some-server@1.2.3", "a b"]
    assert entry["args"][-len(wrap) - 1 - len(rest) :] == [*wrap, "notes", *rest]
    ended = helm(
        "mcp", "print-config", "--client", "claude-code", "--server", "far", "--scope", "project", *known.option
    )
    entry = json.loads(ended.out)["mcpServers"]["far"]
    assert entry["type"] == "stdio"
    assert entry["args"][-5:] == ["far", "--url", "https://tools.example:443/mcp", "--bearer", "FAR_TOKEN"]
    assert helm("mcp", "print-config", "--client", "windsurf", "--scope", "project", *known.option).code == 1
    assert helm("mcp", "print-config", "--client", "cursor", "--server", "nobody", *known.option).code == 1


def test_a_persons_own_file_is_found(known: Made, tmp_path: Path) -> None:
    home = tmp_path / "home"
    words = ("mcp", "install", "--client", "claude-code", *known.option)
    assert helm(*words, HOME=str(home)).code == 0
    assert helm(*words, "--scope", "local", HOME=str(home)).code == 0
    said = json.loads((home / ".claude.json").read_text())
    assert said["projects"][str(Path.cwd())]["mcpServers"] == said["mcpServers"]
