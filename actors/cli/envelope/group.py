"""helm evidence envelope, the group: evidence in the wrappings of others."""

from __future__ import annotations

import click

from actors.cli.envelope.making import create
from actors.cli.envelope.reading import get, list_, payload
from actors.cli.envelope.verifying import verify


@click.group()
def envelope() -> None:
    """Put evidence into a signed envelope of another format. The evidence stays the authority."""


for command in (create, list_, get, payload, verify):
    envelope.add_command(command)
