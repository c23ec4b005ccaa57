"""helm sandbox: the group of its commands."""

from __future__ import annotations

import click

from actors.cli.main import SANDBOX_COMMANDS, Table


@click.group(cls=Table, table=SANDBOX_COMMANDS)
def sandbox() -> None:
    """Run guests, WebAssembly modules that touch what they are granted and nothing else; see what that is."""
