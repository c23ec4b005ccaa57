"""Tools that could be taken for one another: of two servers, by names that look alike, or that claim to be another's.

A server that joins a policy beside a trusted one lists a tool of the same name, and a model calls the wrong one (T3).
Two servers may list a tool of one name, because both names are qualified by their server. A name that only looks like
another server's is refused: a person approves by what is seen, and a model repeats what it read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from helm.contracts.errors import Invalid
from helm.guardian.connection import Connection, McpConnection
from helm.guardian.policy import ToolRule

_SEPARATORS = re.compile(r"[^a-z0-9]")
_ALIKE = (("rn", "m"), ("vv", "w"), ("cl", "d"), ("0", "o"), ("1", "l"), ("i", "l"), ("5", "s"), ("2", "z"), ("8", "b"))
"""What is read as something else in many typefaces; longer ones first."""


def outline(name: str) -> str:
    """Return what is left of a name for a reader who does not look closely."""
    left = _SEPARATORS.sub("", name.lower().replace("|", "l"))
    for seen, read in _ALIKE:
        left = left.replace(seen, read)
    return left


def check_shadowing(tools: Iterable[ToolRule], connections: Mapping[str, Connection]) -> None:
    """Raise Invalid where a tool of one server could be taken for another connector's."""
    servers = [name for name, connection in connections.items() if isinstance(connection, McpConnection)]
    if not servers:
        return
    check_servers(servers)
    seen: dict[str, ToolRule] = {}
    for rule in tools:
        other = seen.setdefault(outline(rule.name), rule)
        if other.connector != rule.connector and (rule.pin or other.pin):
            what = f"{rule.name} of {rule.connector} looks like {other.name} of {other.connector}"
            raise Invalid(what, f"tools.{rule.name}", "rename the connector: its name is what tells its tools apart")
        for server in servers:
            if rule.connector != server and rule.name.startswith((f"{server}.", f"{server}/")):
                what = f"{rule.name} is a tool of {rule.connector} under the name of {server}"
                raise Invalid(what, f"tools.{rule.name}", f"begin its name with {rule.connector}.")


def check_servers(servers: Iterable[str]) -> None:
    """Raise Invalid where the name of one server is the beginning of another's: whose tool would a.b.c be?"""
    ordered = sorted(servers)
    for one in ordered:
        for other in ordered:
            if other.startswith((f"{one}.", f"{one}/")):
                raise Invalid(f"{other} is named like a tool of {one}", f"connectors.{other}", "rename one of them")


def shadowed(server: str, operations: Iterable[str], tools: Iterable[ToolRule]) -> Mapping[str, str]:
    """Return, for operations of `server` that another connector has under this name or a like one, the other's tool.

    They are told apart by their qualified names; whoever approves should know.
    """
    others = {outline(rule.operation or rule.name): rule.name for rule in tools if rule.connector != server}
    return {name: others[outline(name)] for name in operations if outline(name) in others}
