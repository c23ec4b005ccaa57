"""helm pack: evidence packs, for whoever looks for them under that name."""

from __future__ import annotations

import click

from actors.cli.verify import verify


@click.group()
def pack() -> None:
    """Verify evidence packs."""


pack.add_command(verify)
