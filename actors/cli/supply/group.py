"""helm supply: the group of its commands."""

from __future__ import annotations

import click

from actors.cli.main import SUPPLY_COMMANDS, Table


@click.group(cls=Table, table=SUPPLY_COMMANDS)
def supply() -> None:
    """Verify offline where software comes from. Keys, logs, builders and roots come from you, never from the file."""
