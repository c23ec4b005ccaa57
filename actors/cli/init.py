"""helm init: make a data directory, and show its bearer keys this one time."""

from __future__ import annotations

from pathlib import Path

import click

from actors.cli import show
from actors.clock import SystemClock
from actors.installation import Installation


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), default=Path("helm-data"), envvar="HELM_DATA_DIR")
@show.json_option
def init(directory: Path, as_json: bool) -> None:
    """Make DIRECTORY (./helm-data): keys of mode 0600, genesis, helm.toml, a signed starter policy."""
    keys = Installation.create(directory, clock=SystemClock())
    place = Installation.open(directory)
    if as_json:
        show.as_object(
            {
                "data_dir": str(directory.resolve()),
                "log_id": place.log_id,
                "tenant_key": keys.tenant,
                "admin_key": keys.admin,
                "policy": str(place.policy_path),
            }
        )
        return
    click.echo(f"data directory   {directory.resolve()}")
    click.echo(f"log              {place.log_id}")
    click.echo(f"policy           {place.policy_path}")
    click.echo(f"agent's key      {keys.tenant}")
    click.echo(f"admin's key      {keys.admin}")
    show.note("Both keys are shown this one time; HELM keeps only their hashes. Pin the log for verification.")
    show.note(f"Next: helm serve --data-dir {directory}")
