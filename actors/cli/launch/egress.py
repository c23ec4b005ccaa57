"""helm launch egress: the gateway, with a CONNECT proxy for agents whose traffic must leave through HELM."""

from __future__ import annotations

from pathlib import Path

import click

from actors.cli import show
from actors.cli.place import data_dir_option, open_place
from actors.cli.serve import Gateway, run_gateway, tell_program
from actors.policy_file import read_signed
from helm.contracts.errors import Invalid
from helm.guardian.connection import TunnelConnection
from helm.guardian.policy import Policy

TOOL = "tunnel"
"""What the tool is called unless helm.toml says otherwise."""


@click.command()
@data_dir_option
@click.option("--tool", help=f"The tool of the policy that a CONNECT is a call of; {TOOL} by default.")
@click.option("--egress-port", type=click.IntRange(0, 65_535), help="Where CONNECT is asked for; 8421 by default.")
@click.option("--port", type=click.IntRange(0, 65_535), help="Where everything else is; 0 takes a free one.")
@show.json_option
def egress(data_dir: Path, tool: str | None, egress_port: int | None, port: int | None, as_json: bool) -> None:
    """Serve a CONNECT proxy: every tunnel is judged and counted.

    An agent adopts it with HTTPS_PROXY=http://helm:KEY@127.0.0.1:8421, KEY being its bearer key, and must have no
    other way out. What `helm serve` serves is served as well. docs/egress-proxy.md tells of the policy that it needs.
    """
    place = open_place(data_dir, egress_tool=tool, egress_port=egress_port, port=port)
    if not place.config.egress_tool:
        place = open_place(data_dir, egress_tool=TOOL, egress_port=egress_port, port=port)
    signed = read_signed(place.policy_path, place.overlays_path)
    check_declared(signed.policy, place.config.egress_tool)
    run_gateway(Gateway(place, signed, tell_program if as_json else show.note))


def check_declared(policy: Policy, tool: str) -> None:
    """Raise Invalid for a tool that opens no tunnels: every CONNECT would be refused, and nobody knew why."""
    rule = policy.tool(tool)
    if rule is None or not isinstance(policy.connectors[rule.connector], TunnelConnection):
        hint = 'declare it behind a connector of kind "tunnel": docs/egress-proxy.md shows one'
        raise Invalid("the policy declares no such tool for tunnels", f"tools.{tool}", hint)
