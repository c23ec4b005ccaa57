"""helm mcp: the group of its commands."""

from __future__ import annotations

import click

from actors.cli.main import MCP_COMMANDS, Table


@click.group(cls=Table, table=MCP_COMMANDS)
def mcp() -> None:
    """Agents and tools that speak the Model Context Protocol."""
