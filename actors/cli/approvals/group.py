"""helm approvals: the group of its commands."""

from __future__ import annotations

import click

from actors.cli.main import APPROVALS_COMMANDS, Table


@click.group(cls=Table, table=APPROVALS_COMMANDS)
def approvals() -> None:
    """Calls that wait for humans: read them, sign them offline, answer them."""
