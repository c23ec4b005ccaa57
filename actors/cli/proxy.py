"""helm proxy: the gateway, with a proxy for OpenAI clients in front of one upstream."""

from __future__ import annotations

from pathlib import Path

import click

from actors.cli import show
from actors.cli.place import data_dir_option, open_place
from actors.cli.serve import Gateway, run_gateway, tell_program
from actors.policy_file import read_signed


@click.command()
@data_dir_option
@click.option("--upstream", help="Where the model answers: https://api.openai.com/v1. Or proxy_upstream in helm.toml.")
@click.option("--island-mode", is_flag=True, default=None, help="Hard ceilings, and no host but the upstream.")
@click.option("--key-env", help="The environment variable that holds the upstream's key; OPENAI_API_KEY by default.")
@click.option("--prices", type=click.Path(path_type=Path), help="The price table, for spend ceilings.")
@click.option("--spend-limit-cents", type=click.IntRange(0), help="What one principal may spend in a day (UTC).")
@click.option("--max-iterations", type=click.IntRange(0), help="Exchanges with the model in one session.")
@click.option("--max-wall-s", type=click.IntRange(0), help="Seconds from a session's first exchange to its last.")
@click.option("--port", type=click.IntRange(0, 65_535), help="The port; 0 takes a free one.")
@show.json_option
def proxy(data_dir: Path, prices: Path | None, as_json: bool, **flags: str | int | bool | None) -> None:
    """Serve OpenAI clients: every tool call of the model is judged before the client sees it.

    A client adopts it with its base_url, http://127.0.0.1:8420/v1, and a bearer key of HELM's as its api_key. What
    `helm serve` serves is served as well. Other settings stand in helm.toml; docs/openai-proxy.md tells of all.
    """
    named = {SETTINGS[name]: value for name, value in flags.items()}
    place = open_place(data_dir, proxy_prices=None if prices is None else str(prices.resolve()), **named)
    if not place.config.proxy_upstream:
        raise click.UsageError("no upstream: give --upstream, or set proxy_upstream in helm.toml")
    gateway = Gateway(
        place, read_signed(place.policy_path, place.overlays_path), tell_program if as_json else show.note
    )
    run_gateway(gateway)


SETTINGS = {
    "upstream": "proxy_upstream",
    "island_mode": "island_mode",
    "key_env": "proxy_key_env",
    "spend_limit_cents": "proxy_spend_limit_cents",
    "max_iterations": "proxy_max_iterations",
    "max_wall_s": "proxy_max_wall_s",
    "port": "port",
}
"""What each flag is called in helm.toml."""
