"""helm launch: the group of its commands."""

from __future__ import annotations

import click

from actors.cli.main import LAUNCH_COMMANDS, Table


@click.group(cls=Table, table=LAUNCH_COMMANDS)
def launch() -> None:
    """Agents that run within bounds."""
