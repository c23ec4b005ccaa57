"""helm mcp permit-key: what a tool server must know to tell a governed call from one that went round HELM."""

from __future__ import annotations

from pathlib import Path

import click

from actors.cli import show
from actors.cli.place import data_dir_option, open_place


@click.command("permit-key")
@data_dir_option
@show.json_option
def permit_key(data_dir: Path, as_json: bool) -> None:
    """Tell the log's id and the public key that signs permits. Nothing of it is secret."""
    place = open_place(data_dir)
    told = {"log_id": place.log_id, "public_key": place.execution_key().public_key}
    if as_json:
        show.as_object(told)
        return
    for name, value in told.items():
        click.echo(f"{name} {value}")
