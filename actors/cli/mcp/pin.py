"""helm mcp pin: start a server, look at its tools, and declare them in the policy, to be approved."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import trio

from actors.cli import show
from actors.cli.mcp.declaring import Terms, check_free, declaration, declare, sort_out
from actors.cli.mcp.reaching import Reach, reach_options
from actors.cli.place import data_dir_option, open_place
from actors.installation import Installation
from actors.policy_file import read_policy
from helm.contracts.errors import Invalid
from helm.contracts.verdict import EffectType, RiskTier
from helm.guardian.methods import METHODS
from helm.guardian.shadowing import shadowed
from helm.mcp.pins import ListedTool


@click.command()
@click.argument("server")
@reach_options
@data_dir_option
@click.option("--effect-type", type=click.Choice([one.value for one in EffectType]), default=Terms().effect_type)
@click.option("--risk-tier", type=click.Choice([one.value for one in RiskTier]), default=Terms().risk_tier)
@click.option("--principal", default=Terms().principal, help="Who may call it; * for everyone.")
@click.option("--pass", "methods", multiple=True, type=click.Choice(sorted(METHODS)), help="Pass this beside tools.")
@click.option("--dry-run", is_flag=True, help="Write what would be declared, and change nothing.")
def pin(  # noqa: PLR0913 - the options of a command
    server: str,
    *,
    data_dir: Path,
    effect_type: str,
    risk_tier: str,
    principal: str,
    methods: tuple[str, ...],
    dry_run: bool,
    **reach: Any,
) -> None:
    """Start COMMAND, or ask the address, pin what it lists, and declare it as SERVER in the policy's next epoch.

    Nobody can call any of it before `helm mcp approve SERVER`. Write -- before COMMAND.
    """
    from actors.connectors.mcp import look_at

    connection = Reach(**reach).connection(server)
    place = open_place(data_dir)
    if not dry_run:
        check_free(place, server)
    listing = trio.run(look_at, connection)
    if not listing and not methods:
        raise Invalid("lists no tools", f"server {server}", "there is nothing to pin")
    listing, left_out = sort_out(listing)
    tell_left_out(left_out)
    tell_shadowed(place, server, listing)
    terms = Terms(effect_type=effect_type, risk_tier=risk_tier, principal=principal, methods=methods)
    part = declaration(connection, listing, terms)
    if dry_run:
        click.echo(part, nl=False)
        return
    signed = declare(place, part)
    show.note(f"{place.policy_path} is at epoch {signed.policy.epoch}: {len(listing)} tools of {server}, quarantined")
    show.note(f"look at what they say of themselves, then: helm mcp approve {server} --reason WHY")


def tell_shadowed(place: Installation, server: str, listing: Mapping[str, ListedTool]) -> None:
    """Say which tools another connector has too: a model may take one for the other."""
    tools = read_policy(place.policy_path).tools.values()
    for name, other in shadowed(server, listing, tools).items():
        show.note(f"the name {show.plain(name)} shadows {other}: they are told apart as {server}.{name} and {other}")


def tell_left_out(left_out: Mapping[str, Invalid]) -> None:
    """Say which tools nobody will be able to call, and why."""
    for name, problem in left_out.items():
        show.note(f"left out: {show.plain(name)}: {show.plain(str(problem))}")
