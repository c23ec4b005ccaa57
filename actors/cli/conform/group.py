"""helm conform, the group: what a boundary must answer, and whether a server does."""

from __future__ import annotations

import click

from actors.cli.main import CONFORM_COMMANDS, Table


@click.group(cls=Table, table=CONFORM_COMMANDS)
def conform() -> None:
    """What a boundary must answer to each attack, and whether a server does."""
