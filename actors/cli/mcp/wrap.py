"""helm mcp wrap: HELM between one MCP client and one MCP server, in the place of the server's own command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import attrs
import click
import trio

from actors.cli import show
from actors.cli.mcp.declaring import Terms, connection_of, declaration, declare, sort_out
from actors.cli.mcp.pin import tell_left_out, tell_shadowed
from actors.cli.mcp.reaching import Reach, reach_options
from actors.cli.mcp.serve import run_over_stdio
from actors.cli.place import data_dir_option, open_place
from actors.installation import Installation
from actors.policy_file import read_policy, read_signed
from actors.stores import lock
from helm.contracts.errors import Invalid
from helm.guardian.connection import McpConnection
from helm.guardian.intake import check_name


@click.command()
@reach_options
@data_dir_option
@click.option("--server-id", default="wrapped", show_default=True, help="The server's name in the policy.")
@click.option("--principal", default="agent", show_default=True, help="Whom the calls are judged as.")
def wrap(data_dir: Path, server_id: str, principal: str, **reach: Any) -> None:
    """Serve what COMMAND or the address serves over MCP, every call of it judged. Write -- before COMMAND.

    A server that the policy does not know is declared in its next epoch and quarantined: it lists nothing, and calls
    ask for an approval, until `helm mcp approve`. One that it knows must be reached in the very way it declares.
    """
    check_name(principal, "principal")
    wanted = Reach(**reach).connection(server_id)
    place = open_place(data_dir)
    if server_id in read_policy(place.policy_path).connectors:
        check_same(place, wanted)
    else:
        check_alone(place)
        trio.run(introduce, place, wanted)
    run_over_stdio(place, read_signed(place.policy_path, place.overlays_path), principal, server_id)


def check_same(place: Installation, wanted: McpConnection) -> None:
    """Raise Invalid where the policy knows another server under this name."""
    known = connection_of(read_policy(place.policy_path), wanted.name, place.policy_path)
    if attrs.evolve(known, max_response_bytes=wanted.max_response_bytes) != wanted:
        hint = f"the policy pins: {known.url or ' '.join(known.command)}; use another --server-id for another server"
        raise Invalid("this is not the command that the policy declares", f"server {wanted.name}", hint)


def check_alone(place: Installation) -> None:
    """Raise Invalid where another kernel writes the log already, before its policy is changed for nothing.

    Of a database only the start itself finds that out.
    """
    path = place.journal_path
    os.close(lock.take(path.with_name(f"{path.name}.lock")))


async def introduce(place: Installation, wanted: McpConnection) -> None:
    """Declare a server that nobody knows yet, with what it lists now. Raises Invalid."""
    from actors.connectors.mcp import look_at

    listing, left_out = sort_out(await look_at(wanted))
    tell_left_out(left_out)
    tell_shadowed(place, wanted.name, listing)
    signed = declare(place, declaration(wanted, listing, Terms()))
    show.note(f"{wanted.name} is new: {len(listing)} tools pinned in policy epoch {signed.policy.epoch}, quarantined")
    show.note(f"to let agents use them: helm mcp approve {wanted.name} --data-dir {place.path} --reason WHY")
