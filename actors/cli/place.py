"""Which data directory a command is about."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from actors.installation import Installation
from actors.process.environs import environs

data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=Path("helm-data"),
    envvar="HELM_DATA_DIR",
    show_default=True,
    help="The data directory that `helm init` made.",
)


def open_place(data_dir: Path, **flags: Any) -> Installation:
    """Return the installation, settings of helm.toml, environment, credentials and given flags. Raises Invalid."""
    given = {name: value for name, value in flags.items() if value is not None}
    return Installation.open(data_dir, environment=environs(os.environ), flags=given)
