"""Reads what a bundle says of MCP servers: how each is reached, and the pin of each of its tools."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from helm.contracts.errors import Invalid, Refused
from helm.guardian.bundle_table import Table
from helm.guardian.connection import Connection, McpConnection
from helm.guardian.destination import split_url
from helm.guardian.methods import METHODS, name_of
from helm.guardian.methods import PIN as METHOD_PIN
from helm.guardian.policy import ToolRule
from helm.guardian.servers import pins_hash

MAX_BYTES = 1024 * 1024
"""Longest result: it becomes one JSON document of the journal, which is no longer (T4)."""

MAX_WORDS, MAX_WORD = 64, 1024
"""Words of a command, and characters of a word (T4)."""

PIN = re.compile(r"sha256:[0-9a-f]{64}")


def read_server(name: str, table: Table) -> McpConnection:
    """Return one MCP server: the program that is started, or the address that is asked. Raises Invalid."""
    max_bytes = table.whole("max_response_bytes", (1, MAX_BYTES), MAX_BYTES)
    permits = table.flag("permits")
    if not table.has("url"):
        return McpConnection(
            name=name,
            command=read_command(table),
            environment=table.texts("environment", ()),
            permits=permits,
            max_response_bytes=max_bytes,
        )
    if table.has("command") or table.has("environment"):
        raise Invalid("a server that is started and has an address", table.place, "write command or url, not both")
    allow_private, bearer = table.flag("allow_private"), table.name("bearer", "")
    url = read_url(table)
    if bearer and url.startswith("http:") and not allow_private:
        raise Invalid("a token in the clear", table.at("bearer"), "write https, or allow_private for this machine")
    return McpConnection(
        name=name,
        url=url,
        bearer=bearer,
        allow_private=allow_private,
        permits=permits,
        max_response_bytes=max_bytes,
    )


def read_url(table: Table) -> str:
    """Return a server's address in its one spelling. Raises Invalid, also for one that could hold a secret."""
    try:
        destination, rest = split_url(table.text("url"))
    except Refused as refused:
        raise Invalid(refused.reason, table.at("url")) from refused
    if destination.scheme not in ("http", "https"):
        raise Invalid("not http://host[:port]/path or https://host[:port]/path", table.at("url"))
    if "?" in rest or "#" in rest:
        hint = "a bundle is read by everyone who verifies: name the variable of a token as bearer"
        raise Invalid("a query or a fragment", table.at("url"), hint)
    return f"{destination}{rest or '/'}"


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


def read_pin(name: str, operation: str, table: Table, connection: Connection) -> str:
    """Return the pin of a tool: every tool of an MCP server has one, and no other. Raises Invalid."""
    pin = table.text("pin", "")
    if isinstance(connection, McpConnection) and operation in METHODS:
        if pin or name != name_of(connection.name, operation):
            hint = f"without a pin, as tools.{name_of(connection.name, operation)!r}"
            raise Invalid(f"{operation} is a method of MCP", table.at("operation"), hint)
        return METHOD_PIN
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
