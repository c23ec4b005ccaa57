"""helm telemetry and helm coexistence: how others are told, and whose word counts beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from actors.boundary import paths_of
from actors.cli import show
from actors.cli.boundary_here import standing_here
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import API, Server, server_option, server_url
from helm.interop.otel_config import otel_config, yaml
from helm.surfaces.coexistence import manifest as stated

HEADS = ("capability", "authority", "in a receipt")
BESIDE_HEADS = ("beside", "its word here", "its own")


@click.group()
def telemetry() -> None:
    """What others are told of HELM. None of it is evidence."""


@telemetry.command("otel-config")
@click.option("--env", "as_environment", is_flag=True, help="Write HELM's side instead: its variables.")
@data_dir_option
@server_option
@show.json_option
def otel_config_(as_environment: bool, data_dir: Path, server: str | None, as_json: bool) -> None:
    """Write a collector's configuration for these settings.

    The collector is that of OpenTelemetry.

    The collector finds in its environment where to send everything (OTEL_BACKEND), an admin key where it asks for
    /metrics (HELM_METRICS_KEY), and the data directory where it reads the log (HELM_DATA_DIR). No secret is written.
    """
    url = server_url(data_dir, server)
    told = Server(url).get(f"{API}/telemetry/otel/config", {}) if url else otel_config(open_place(data_dir).config)
    if as_json:
        show.as_object(told)
    elif as_environment:
        for name, value in told["environment"].items():
            click.echo(f"{name}={value}")
    else:
        click.echo(f"# {told['notice']}\n{yaml(told['collector'])}", nl=False)


@click.group()
def coexistence() -> None:
    """HELM beside other gateways, guardrails and observers."""


@coexistence.command()
@data_dir_option
@server_option
@show.json_option
def manifest(data_dir: Path, server: str | None, as_json: bool) -> None:
    """Say what HELM owns, and what it does not.

    Without a kernel the whole log is read again, and every link of it verified.
    """
    url = server_url(data_dir, server)
    told: dict[str, Any] = (
        Server(url).get(f"{API}/coexistence/capabilities", {})
        if url
        else stated(standing_here(open_place(data_dir)), paths_of)
    )
    if as_json:
        show.as_object(told)
        return
    show.fields([(name.replace("_", " "), show.plain(str(value)) or "-") for name, value in told["roots"].items()])
    click.echo()
    rows = [(one["capability_id"], one["authority"], ", ".join(one["receipt_bindings"]) or "-") for one in scopes(told)]
    show.table(HEADS, rows)
    click.echo()
    show.table(BESIDE_HEADS, [(one["kind"], one["word"], one["owned_by_it"]) for one in told["does_not_own"]])


def scopes(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what is owned, and what is only told."""
    return [*told["owns"], *told["tells"]]
