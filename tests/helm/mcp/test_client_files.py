"""Files of other people's programs: one entry more, and everything else as it was."""

from __future__ import annotations

import json
import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helm.contracts.errors import Invalid
from helm.mcp import jsonc
from helm.mcp.clients import CLIENTS, LINUX, LOCAL, MACOS, PROJECT, USER, WINDOWS, Home
from helm.mcp.settings import alone, with_entry

ENTRY: dict[str, Any] = {"command": "/opt/helm", "args": ["mcp", "serve", 'with "quotes"', "\\", "ü"]}

COMMENTED = """\
// my servers
{
  /* the first */ "mcpServers": { // here
    "files": {"command": "npx", "args": ["a // no comment", "/* nor this */"]}, // last
  },
  "other": [1, 2.5, -3e4, true, null,],
}
// the end"""

PLACES = {
    "nothing": "",
    "blank": " \n",
    "empty": "{}",
    "empty on lines": "{\n}\n",
    "no servers": '{"theme": "dark"}',
    "no server": '{"mcpServers": {}}',
    "one server": '{"mcpServers": {"a": {"command": "b"}}}',
    "with comments": COMMENTED,
    "of Windows": '{\r\n  "mcpServers": {\r\n    "a": {}\r\n  }\r\n}\r\n',
}


@pytest.mark.parametrize("before", PLACES.values(), ids=PLACES)
def test_an_entry_goes_in_and_nothing_gets_lost(before: str) -> None:
    after = with_entry(CLIENTS["cursor"], before, ("mcpServers",), "helm", ENTRY, "a test")
    said = jsonc.read(after, "a test")
    assert said["mcpServers"].pop("helm") == ENTRY
    was = jsonc.read(before, "a test") if before.strip() else {}
    assert said == {"mcpServers": {}, **was}
    assert is_within(before.strip(), after)
    assert ("\r\n" in after) == ("\r\n" in before)
    assert "\n" not in after.replace("\r\n", "") or "\r\n" not in before


def is_within(before: str, after: str) -> bool:
    """Tell whether what stood there still stands there, in its order."""
    rest = iter(after)
    return all(char in rest for char in before)


def test_an_entry_that_is_there_already_changes_nothing() -> None:
    for client in CLIENTS.values():
        entry = client.entry(("/opt/helm", "mcp", "serve"))
        once = with_entry(client, "", client.members, "helm", entry, "a test")
        assert with_entry(client, once, client.members, "helm", entry, "a test") == once


@pytest.mark.parametrize("client", CLIENTS.values(), ids=list(CLIENTS))
def test_another_entry_of_the_name_is_never_overwritten(client: Any) -> None:
    text = alone(client, client.members, "files", client.entry(("npx", "some-server")))
    with pytest.raises(Invalid, match="another entry"):
        with_entry(client, text, client.members, "files", client.entry(("/opt/helm",)), "a test")


TORN = [
    "{",
    "[]",
    "1",
    '{"mcpServers": []}',
    '{"mcpServers": {"a": 1, "a": 2}}',
    '{"a" 1}',
    '{"a": 1} x',
    '{"a": 01}',
    "{'a': 1}",
]


@pytest.mark.parametrize("text", TORN)
def test_a_file_that_is_not_understood_is_not_touched(text: str) -> None:
    with pytest.raises(Invalid):
        with_entry(CLIENTS["cursor"], text, ("mcpServers",), "helm", ENTRY, "a test")


def test_a_file_that_nests_without_end_is_refused() -> None:
    for text in ("[" * 100_000, '{"a":' * 100_000, "/*" * 100_000):
        with pytest.raises(Invalid):
            jsonc.read(text, "a test")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), JSON, max_size=3), st.none() | st.integers(1, 4))
def test_whatever_json_says_is_read_as_json_says_it(said: dict[str, Any], indent: int | None) -> None:
    text = json.dumps(said, indent=indent)
    assert jsonc.read(text, "a test") == said
    if type(said.get("mcpServers", {})) is dict:
        after = with_entry(CLIENTS["windsurf"], text, ("mcpServers",), "\0new", ENTRY, "a test")
        assert json.loads(after)["mcpServers"]["\0new"] == ENTRY


CODEX = """\
model = "o9" # the best
[mcp_servers.files]
command = "npx" # my own
args = []
[profiles.a]
b = 1"""


def test_a_table_goes_behind_what_codex_has() -> None:
    codex = CLIENTS["codex"]
    after = with_entry(codex, CODEX, codex.members, "my files", ENTRY, "a test")
    assert after.startswith(CODEX + "\n")
    said = tomllib.loads(after)
    assert said["mcp_servers"].pop("my files") == ENTRY
    assert said == tomllib.loads(CODEX)


@pytest.mark.parametrize("text", ["mcp_servers = {}", "mcp_servers = 1", "[[mcp_servers]]", "a = ", "[a]\n[a]"])
def test_a_table_that_has_no_place_is_refused(text: str) -> None:
    codex = CLIENTS["codex"]
    with pytest.raises(Invalid):
        with_entry(codex, text, codex.members, "helm", ENTRY, "a test")


HOMES = {
    LINUX: Home(system=LINUX, home="/people/a", project="/src/p"),
    MACOS: Home(system=MACOS, home="/Users/a", project="/src/p"),
    WINDOWS: Home(system=WINDOWS, home="C:\\Users\\a", project="C:\\p", settings="C:\\Users\\a\\AppData\\Roaming"),
}

PATHS = [
    ("claude-code", USER, LINUX, "/people/a/.claude.json"),
    ("claude-code", LOCAL, LINUX, "/people/a/.claude.json"),
    ("claude-code", PROJECT, LINUX, "/src/p/.mcp.json"),
    ("claude-desktop", USER, LINUX, "/people/a/.config/Claude/claude_desktop_config.json"),
    ("claude-desktop", USER, MACOS, "/Users/a/Library/Application Support/Claude/claude_desktop_config.json"),
    ("claude-desktop", USER, WINDOWS, "C:\\Users\\a\\AppData\\Roaming\\Claude\\claude_desktop_config.json"),
    ("cursor", USER, MACOS, "/Users/a/.cursor/mcp.json"),
    ("cursor", PROJECT, LINUX, "/src/p/.cursor/mcp.json"),
    ("vscode", USER, LINUX, "/people/a/.config/Code/User/mcp.json"),
    ("vscode", USER, MACOS, "/Users/a/Library/Application Support/Code/User/mcp.json"),
    ("vscode", USER, WINDOWS, "C:\\Users\\a\\AppData\\Roaming\\Code\\User\\mcp.json"),
    ("vscode", PROJECT, LINUX, "/src/p/.vscode/mcp.json"),
    ("codex", USER, LINUX, "/people/a/.codex/config.toml"),
    ("codex", PROJECT, WINDOWS, "C:\\p\\.codex\\config.toml"),
    ("windsurf", USER, WINDOWS, "C:\\Users\\a\\.codeium\\windsurf\\mcp_config.json"),
]


@pytest.mark.parametrize(("client", "scope", "system", "path"), PATHS)
def test_each_client_is_found_where_it_keeps_its_servers(client: str, scope: str, system: str, path: str) -> None:
    assert CLIENTS[client].path(scope, HOMES[system]) == path


def test_a_scope_that_a_client_does_not_have_is_refused() -> None:
    for client, scope in (("windsurf", PROJECT), ("claude-desktop", PROJECT), ("cursor", LOCAL)):
        with pytest.raises(Invalid, match="scope"):
            CLIENTS[client].path(scope, HOMES[LINUX])


def test_a_word_that_a_client_would_replace_is_refused() -> None:
    with pytest.raises(Invalid):
        CLIENTS["vscode"].entry(("helm", "${workspaceFolder}/a"))
