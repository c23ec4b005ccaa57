"""helm mcp approve, helm mcp revoke, helm mcp list: what an approver says of the servers of a policy."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import click
import trio

from actors.cli import show
from actors.cli.mcp.declaring import connection_of
from actors.cli.place import data_dir_option, open_place
from actors.clock import SystemClock
from actors.installation import Installation
from actors.policy_file import read_policy
from helm.guardian.connection import McpConnection
from helm.guardian.policy import Policy
from helm.guardian.servers import APPROVE, REVOKE, ServerCommand, Servers, sign_server_command

DAY_MS = 86_400_000
MAX_DAYS = 366


@click.command()
@click.argument("server")
@click.option("--reason", required=True, help="Why; it stands in the log for ever.")
@click.option("--days", type=click.IntRange(1, MAX_DAYS), default=90, show_default=True, help="Until it expires.")
@data_dir_option
@show.json_option
def approve(server: str, reason: str, days: int, data_dir: Path, as_json: bool) -> None:
    """Approve SERVER with exactly the tools that the policy pins, by a command that the approval key signs."""
    place = open_place(data_dir)
    policy = read_policy(place.policy_path)
    connection_of(policy, server, place.policy_path)
    pins = policy.server_pins.get(server, "")
    tell(trio.run(command, place, policy, Said(APPROVE, server, pins, reason, days)), as_json=as_json)


@click.command()
@click.argument("server")
@click.option("--reason", required=True, help="Why; it stands in the log for ever.")
@data_dir_option
@show.json_option
def revoke(server: str, reason: str, data_dir: Path, as_json: bool) -> None:
    """Revoke SERVER, whatever was approved before: none of its tools is called any more."""
    place = open_place(data_dir)
    policy = read_policy(place.policy_path)
    tell(trio.run(command, place, policy, Said(REVOKE, server, "", reason, 0)), as_json=as_json)


@click.command("list")
@data_dir_option
@show.json_option
def list_(data_dir: Path, as_json: bool) -> None:
    """List the MCP servers of the policy with their states."""
    place = open_place(data_dir)
    tell(trio.run(look, place, read_policy(place.policy_path)), as_json=as_json)


class Said(NamedTuple):
    """What an approver says; `days` is 0 where it never ends."""

    action: str
    server: str
    pins: str
    reason: str
    days: int


async def command(place: Installation, policy: Policy, said: Said) -> list[dict[str, Any]]:
    """Have a kernel of our own obey one signed command; return the servers as they stand then. Raises Invalid."""
    from actors.commands.servers import CommandServer
    from actors.opening import open_kernel

    async with open_kernel(place, policy=None) as kernel:
        key, now_ms = place.approval_key(), SystemClock().now_ms()
        one = ServerCommand(
            action=said.action,
            expires_at_ms=now_ms + said.days * DAY_MS if said.days else 0,
            issued_at_ms=now_ms,
            key_id=key.key_id,
            log_id=place.log_id,
            pins_hash=said.pins,
            reason=said.reason,
            sequence=kernel.memory.servers.sequence + 1,
            server_id=said.server,
        )
        await kernel.command(CommandServer(one, sign_server_command(one, key), kernel.parts.state.registry))
        return standing(policy, kernel.memory.servers)


async def look(place: Installation, policy: Policy) -> list[dict[str, Any]]:
    """Return the servers as they stand."""
    from actors.opening import open_kernel

    async with open_kernel(place, policy=None) as kernel:
        return standing(policy, kernel.memory.servers)


def standing(policy: Policy, servers: Servers) -> list[dict[str, Any]]:
    """Return every server that the policy declares, or that something was said of."""
    now_ms = SystemClock().now_ms()
    declared = {name for name, one in policy.connectors.items() if isinstance(one, McpConnection)}
    return [
        {
            "declared": name in declared,
            "drifted": sorted(servers.drifted.get(name, {})),
            "expires_at_ms": servers.said[name].expires_at_ms if name in servers.said else 0,
            "server_id": name,
            "state": servers.state(name, policy.server_pins.get(name, ""), now_ms),
            "tools": sorted(rule.operation for rule in policy.tools.values() if rule.connector == name),
        }
        for name in sorted(declared | servers.said.keys())
    ]


def tell(servers: list[dict[str, Any]], *, as_json: bool) -> None:
    """Write the servers."""
    if as_json:
        show.as_object(servers)
        return
    rows = [
        (one["server_id"], one["state"], ", ".join(one["tools"]) or "-", ", ".join(one["drifted"]) or "-")
        for one in servers
    ]
    show.table(("SERVER", "STATE", "TOOLS", "DRIFTED"), rows)
