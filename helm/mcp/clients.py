"""MCP clients: where each keeps its servers, and in what shape.

Every entry starts HELM, and HELM starts the server: a configuration that names the server itself is a way round.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue

USER, PROJECT, LOCAL = "user", "project", "local"

LINUX, MACOS, WINDOWS = "linux", "darwin", "win32"


@attrs.frozen(kw_only=True)
class Home:
    """Where a person's settings are, on one system."""

    system: str
    home: str
    project: str
    settings: str = ""
    """%APPDATA% on Windows, $XDG_CONFIG_HOME elsewhere; "" for the usual one."""
    codex: str = ""
    """$CODEX_HOME; "" for the usual one."""

    def application(self, *parts: str) -> str:
        """Return a path below the folder in which applications keep their settings."""
        if self.system == WINDOWS:
            return "\\".join([self.settings or f"{self.home}\\AppData\\Roaming", *parts])
        folder = f"{self.home}/Library/Application Support" if self.system == MACOS else f"{self.home}/.config"
        return "/".join([(self.settings if self.system == LINUX else "") or folder, *parts])

    def at_home(self, *parts: str) -> str:
        """Return a path below the person's own folder."""
        return ("\\" if self.system == WINDOWS else "/").join([self.home, *parts])

    def in_project(self, *parts: str) -> str:
        """Return a path below the project's folder."""
        return ("\\" if self.system == WINDOWS else "/").join([self.project, *parts])


@attrs.frozen(kw_only=True)
class Client:
    """One client: the member of its file that holds the servers, and how it writes one of them."""

    name: str
    members: tuple[str, ...] = ("mcpServers",)
    says_type: bool = False
    is_toml: bool = False
    scopes: tuple[str, ...] = (USER, PROJECT)

    def check_scope(self, scope: str) -> None:
        """Raise Invalid for a scope that the client does not have."""
        if scope not in self.scopes:
            raise Invalid(f"{self.name} has no such scope", f"--scope {scope}", f"it has {', '.join(self.scopes)}")

    def path(self, scope: str, home: Home) -> str:
        """Return where the client reads its servers from. Raises Invalid."""
        self.check_scope(scope)
        match self.name, scope:
            case "claude-code", "project":
                return home.in_project(".mcp.json")
            case "claude-code", _:
                return home.at_home(".claude.json")
            case "claude-desktop", _:
                return home.application("Claude", "claude_desktop_config.json")
            case "cursor", "user":
                return home.at_home(".cursor", "mcp.json")
            case "cursor", _:
                return home.in_project(".cursor", "mcp.json")
            case "vscode", "user":
                return home.application("Code", "User", "mcp.json")
            case "vscode", _:
                return home.in_project(".vscode", "mcp.json")
            case "codex", "user":
                return f"{home.codex}/config.toml" if home.codex else home.at_home(".codex", "config.toml")
            case "codex", _:
                return home.in_project(".codex", "config.toml")
            case _:
                return home.at_home(".codeium", "windsurf", "mcp_config.json")

    def place(self, scope: str, home: Home) -> tuple[str, ...]:
        """Return the members that lead to the servers."""
        return ("projects", home.project, *self.members) if scope == LOCAL else self.members

    def entry(self, words: tuple[str, ...]) -> dict[str, JSONValue]:
        """Return how the client starts a program. Raises Invalid for a word that it would not leave as it is."""
        for word in words:
            if "${" in word:
                hint = "a client would put a variable of its own there"
                raise Invalid(f"a word that holds ${{: {word}", f"client {self.name}", hint)
        kind: dict[str, JSONValue] = {"type": "stdio"} if self.says_type else {}
        return {**kind, "command": words[0], "args": list(words[1:])}


CLIENTS: Final[Mapping[str, Client]] = MappingProxyType(
    {
        one.name: one
        for one in (
            Client(name="claude-code", says_type=True, scopes=(USER, PROJECT, LOCAL)),
            Client(name="claude-desktop", scopes=(USER,)),
            Client(name="cursor"),
            Client(name="vscode", members=("servers",), says_type=True),
            Client(name="codex", members=("mcp_servers",), is_toml=True),
            Client(name="windsurf", scopes=(USER,)),
        )
    }
)
"""The clients by name."""
