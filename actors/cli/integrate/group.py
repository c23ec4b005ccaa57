"""helm integrate: the group of its commands."""

from __future__ import annotations

import click

from actors.cli.main import INTEGRATE_COMMANDS, Table


@click.group(cls=Table, table=INTEGRATE_COMMANDS)
def integrate() -> None:
    """Put HELM between an agent's framework and its tools."""
