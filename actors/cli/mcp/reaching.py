"""How a command says where an MCP server is: the words that start it, or its address."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import click

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.guardian.bundle_servers import read_server
from helm.guardian.bundle_table import Table
from helm.guardian.connection import McpConnection
from helm.guardian.intake import check_name


@attrs.frozen(kw_only=True)
class Reach:
    """What was said of it."""

    command: tuple[str, ...]
    environment: tuple[str, ...]
    url: str | None
    bearer: str | None
    allow_private: bool
    permits: bool = False

    def connection(self, server: str) -> McpConnection:
        """Return the connection, read as a policy reads it. Raises Invalid."""
        check_name(server, "server")
        if bool(self.command) == bool(self.url):
            raise Invalid("a server is started, or it has an address", server, "write --url URL, or -- COMMAND...")
        said: dict[str, JSONValue] = {"command": list(self.command), "environment": list(self.environment)}
        if self.url:
            said = {"url": self.url, "allow_private": self.allow_private}
            said |= {"bearer": self.bearer} if self.bearer else {}
            said |= {"environment": list(self.environment)} if self.environment else {}
        elif self.bearer or self.allow_private:
            raise Invalid("a token or a network for a server that is started", server, "these go with --url")
        said["permits"] = self.permits
        return read_server(server, Table(server, {name: value for name, value in said.items() if value != []}))


def reach_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the argument and the options of a `Reach`, each by the name of its member."""
    options = (
        click.option("--url", help="The server's address, in the place of COMMAND."),
        click.option("--bearer", metavar="NAME", help="The variable that holds the token for the address."),
        click.option("--allow-private", is_flag=True, help="Let the address be one of this machine or network."),
        click.option("--permits", is_flag=True, help="Show the server the signed permit of each call."),
        click.option("--env", "environment", multiple=True, metavar="NAME", help="A variable that the server gets."),
        click.argument("command", nargs=-1),
    )
    for option in options:
        command = option(command)
    return command
