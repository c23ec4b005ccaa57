"""helm checkpoint, the group: signed statements of all that the log holds."""

from __future__ import annotations

import click

from actors.cli.main import CHECKPOINT_COMMANDS, Table


@click.group(cls=Table, table=CHECKPOINT_COMMANDS)
def checkpoint() -> None:
    """Signed statements of all that the log holds: taken, proved under, checked."""
