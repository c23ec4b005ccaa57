"""Reads what a bundle says of MCP servers: how each is reached, and the pin of each of its tools."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from helm.contracts.errors import Invalid
from helm.guardian.bundle_table import Table
from helm.guardian.connection import Connection, McpConnection
from helm.guardian.policy import ToolRule
from helm.guardian.servers import pins_hash

MAX_BYTES = 1024 * 1024
"""Longest result: it becomes one JSON document of the journal, which is no longer (T4)."""

MAX_WORDS, MAX_WORD = 64, 1024
"""Words of a command, and characters of a word (T4)."""

PIN = re.compile(r"sha256:[0-9a-f]{64}")


def read_server(name: str, table: Table) -> McpConnection:
    """Return one MCP server: the program that is started. Raises Invalid."""
    return McpConnection(
        name=name,
        command=read_command(table),
        environment=table.texts("environment", ()),
        max_response_bytes=table.whole("max_response_bytes", (1, MAX_BYTES), MAX_BYTES),
    )


def read_command(table: Table) -> tuple[str, ...]:
    """Return the words of a command, no shell between them and the program. Raises Invalid."""
    words = table.value("command", list, "a list of words")
    if not 0 < len(words) <= MAX_WORDS:
        raise Invalid(f"a command has 1 to {MAX_WORDS} words", table.at("command"))
    for number, word in enumerate(words):
        if type(word) is not str or not 0 < len(word) <= MAX_WORD or not word.isprintable():
            where = f"{table.at('command')}[{number}]"
            raise Invalid(f"not a word of 1 to {MAX_WORD} visible characters", where)
    return tuple(words)


def read_pin(table: Table, connection: Connection) -> str:
    """Return the pin of a tool: every tool of an MCP server has one, and no other. Raises Invalid."""
    pin = table.text("pin", "")
    if isinstance(connection, McpConnection) != bool(pin):
        hint = "`helm mcp pin` writes it" if not pin else "only tools of an MCP server are pinned"
        raise Invalid("a tool of an MCP server has a pin" if not pin else "a pin", table.at("pin"), hint)
    if pin and PIN.fullmatch(pin) is None:
        raise Invalid("not a hash", table.at("pin"), "write sha256: and 64 lower-case hex digits")
    return pin


def pins_of(rules: Iterable[ToolRule]) -> Mapping[str, str]:
    """Return, by server, the name of all its pinned tools. Raises Invalid where two tools are one of the server's."""
    pinned: dict[str, dict[str, str]] = {}
    for rule in rules:
        if rule.pin:
            pins = pinned.setdefault(rule.connector, {})
            operation = rule.operation or rule.name
            if pins.setdefault(operation, rule.pin) != rule.pin:
                raise Invalid(f"{operation} of the server {rule.connector} is pinned twice", f"tools.{rule.name}.pin")
    return MappingProxyType({server: pins_hash(pins) for server, pins in pinned.items()})
