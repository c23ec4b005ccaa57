"""helm trust: the group of its commands."""

from __future__ import annotations

import click

from actors.cli.main import TRUST_COMMANDS, Table


@click.group(cls=Table, table=TRUST_COMMANDS)
def trust() -> None:
    """The keys that count, by signed events: list, add, rotate, revoke them."""
