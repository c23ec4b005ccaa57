"""helm mcp wrap: HELM between one MCP client and one MCP server, in the place of the server's own command."""

from __future__ import annotations

from pathlib import Path

import click
import trio

from actors.cli import show
from actors.cli.mcp.declaring import Terms, connection_of, declaration, declare, sort_out
from actors.cli.mcp.pin import tell_left_out
from actors.cli.mcp.serve import over_stdio
from actors.cli.place import data_dir_option, open_place
from actors.installation import Installation
from actors.policy_file import read_policy, read_signed
from helm.contracts.errors import Invalid
from helm.guardian.bundle_servers import MAX_BYTES
from helm.guardian.connection import McpConnection
from helm.guardian.intake import check_name


@click.command()
@click.argument("command", nargs=-1, required=True)
@data_dir_option
@click.option("--server-id", default="wrapped", show_default=True, help="The server's name in the policy.")
@click.option("--env", "environment", multiple=True, metavar="NAME", help="A variable that the server gets.")
@click.option("--principal", default="agent", show_default=True, help="Whom the calls are judged as.")
def wrap(
    command: tuple[str, ...], data_dir: Path, server_id: str, environment: tuple[str, ...], principal: str
) -> None:
    """Serve what COMMAND serves over MCP, every call of it judged. Write -- before COMMAND.

    A server that the policy does not know is declared in its next epoch and quarantined: it lists nothing, and calls
    ask for an approval, until `helm mcp approve`. One that it knows must be started by the very command it declares.
    """
    check_name(server_id, "server-id")
    check_name(principal, "principal")
    place = open_place(data_dir)
    wanted = McpConnection(name=server_id, command=command, environment=environment, max_response_bytes=MAX_BYTES)
    if server_id in read_policy(place.policy_path).connectors:
        check_same(place, wanted)
    else:
        trio.run(introduce, place, wanted)
    trio.run(over_stdio, place, read_signed(place.policy_path), principal, server_id)


def check_same(place: Installation, wanted: McpConnection) -> None:
    """Raise Invalid where the policy knows another program under this name."""
    known = connection_of(read_policy(place.policy_path), wanted.name, place.policy_path)
    if (known.command, known.environment) != (wanted.command, wanted.environment):
        hint = f"the policy pins: {' '.join(known.command)}; use another --server-id for another program"
        raise Invalid("this is not the command that the policy declares", f"server {wanted.name}", hint)


async def introduce(place: Installation, wanted: McpConnection) -> None:
    """Declare a server that nobody knows yet, with what it lists now. Raises Invalid."""
    from actors.connectors.mcp import look_at

    listing, left_out = sort_out(await look_at(wanted))
    tell_left_out(left_out)
    signed = declare(place, declaration(wanted, listing, Terms()))
    show.note(f"{wanted.name} is new: {len(listing)} tools pinned in policy epoch {signed.policy.epoch}, quarantined")
    show.note(f"to let agents use them: helm mcp approve {wanted.name} --data-dir {place.path} --reason WHY")
