"""helm mcp approve, revoke, list, get: what an approver says of the servers of a policy, here or at a gateway."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import click
import trio

from actors.cli import show
from actors.cli.failure import Failed
from actors.cli.mcp.declaring import connection_of
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import API, Server, server_option, server_url
from actors.installation import Installation
from actors.policy_file import read_policy
from actors.process.clock import SystemClock
from helm.contracts.errors import Invalid
from helm.guardian.policy import Policy
from helm.guardian.servers import APPROVE, REVOKE, SERVER_COMMAND, ServerCommand, Servers, sign_server_command
from helm.mcp.registry import registry

REGISTRY = f"{API}/mcp/registry"

DAY_MS = 86_400_000
MAX_DAYS = 366

Standing = Mapping[str, Any]
"""The registry, as the route tells it."""


@click.command()
@click.argument("server_id", metavar="SERVER")
@click.option("--reason", required=True, help="Why; it stands in the log for ever.")
@click.option("--days", type=click.IntRange(1, MAX_DAYS), default=90, show_default=True, help="Until it expires.")
@server_option
@data_dir_option
@show.json_option
def approve(*, server_id: str, reason: str, days: int, data_dir: Path, server: str | None, as_json: bool) -> None:
    """Approve SERVER with exactly the tools that the policy pins, by a command that the approval key signs.

    With --server, the key of the data directory signs here, and a gateway of that directory obeys.
    """
    tell(obey(Said(APPROVE, server_id, reason, days), data_dir, server), as_json=as_json)


@click.command()
@click.argument("server_id", metavar="SERVER")
@click.option("--reason", required=True, help="Why; it stands in the log for ever.")
@server_option
@data_dir_option
@show.json_option
def revoke(*, server_id: str, reason: str, data_dir: Path, server: str | None, as_json: bool) -> None:
    """Revoke SERVER, whatever was approved before: none of its tools is called any more."""
    tell(obey(Said(REVOKE, server_id, reason, 0), data_dir, server), as_json=as_json)


@click.command("list")
@server_option
@data_dir_option
@show.json_option
def list_(data_dir: Path, server: str | None, as_json: bool) -> None:
    """List the MCP servers of the policy with their states."""
    tell(look_at(data_dir, server), as_json=as_json)


@click.command()
@click.argument("server_id", metavar="SERVER")
@server_option
@data_dir_option
@show.json_option
def get(server_id: str, data_dir: Path, server: str | None, as_json: bool) -> None:
    """Show all that is known of SERVER."""
    one = named(look_at(data_dir, server), server_id)
    if as_json:
        show.as_object(one)
        return
    show.fields([(name, show.plain(told_of(name, value))) for name, value in one.items()])


class Said(NamedTuple):
    """What an approver says; `days` is 0 where it never ends."""

    action: str
    server_id: str
    reason: str
    days: int


def look_at(data_dir: Path, server: str | None) -> Standing:
    """Return the servers as they stand, at a gateway or in the data directory. Raises Failed, Invalid."""
    url = server_url(data_dir, server)
    if url:
        return registry_at(Server(url))
    place = open_place(data_dir)
    return trio.run(look, place, read_policy(place.policy_path))


def registry_at(server: Server) -> Standing:
    """Return the registry of a gateway. Raises Failed."""
    told: Standing = server.get(REGISTRY, {})
    return told


def obey(said: Said, data_dir: Path, server: str | None) -> Standing:
    """Have a signed command obeyed, at a gateway or in the data directory. Raises Failed, Invalid."""
    place, url = open_place(data_dir), server_url(data_dir, server)
    if url:
        return on_server(said, place, Server(url))
    policy = read_policy(place.policy_path)
    if said.action == APPROVE:
        connection_of(policy, said.server_id, place.policy_path)
    return trio.run(on_directory, said, place, policy)


def on_server(said: Said, place: Installation, server: Server) -> Standing:
    """Sign for the tools that a gateway's policy pins now, and hand it in; its route asks for an admin key."""
    standing = registry_at(server)
    if standing["log_id"] != place.log_id:
        hint = "name the data directory of that kernel: its approval key is the one that counts"
        raise Failed(f"the kernel writes log {standing['log_id']}, the key is for {place.log_id}", hint, "INVALID")
    pins = named(standing, said.server_id)["pins_hash"]
    command, signature = signed(said, pins, standing["sequence"], place)
    path = f"{REGISTRY}/{quote(said.server_id, safe='')}/{said.action}"
    server.post(path, {"command": SERVER_COMMAND.body(command), "signature": signature})
    return registry_at(server)


async def on_directory(said: Said, place: Installation, policy: Policy) -> Standing:
    """Have a kernel of our own obey one signed command; return the servers as they stand then. Raises Invalid."""
    from actors.commands.servers import CommandServer
    from actors.opening import open_kernel

    async with open_kernel(place, policy=None) as kernel:
        servers = kernel.memory.servers
        pins = policy.server_pins.get(said.server_id, "")
        command, signature = signed(said, pins, servers.sequence, place)
        await kernel.command(CommandServer(command, signature, kernel.parts.state.registry))
        return standing_of(policy, servers, place)


async def look(place: Installation, policy: Policy) -> Standing:
    """Return the servers as they stand."""
    from actors.opening import open_kernel

    async with open_kernel(place, policy=None) as kernel:
        return standing_of(policy, kernel.memory.servers, place)


def signed(said: Said, pins: str, sequence: int, place: Installation) -> tuple[ServerCommand, str]:
    """Return the command that follows `sequence`, and the approval key's signature. Raises Invalid."""
    key, now_ms = place.approval_key(), SystemClock().now_ms()
    if said.action == APPROVE and not pins:
        raise Invalid("the policy pins none of its tools", f"server {said.server_id}", "helm mcp pin")
    command = ServerCommand(
        action=said.action,
        expires_at_ms=now_ms + said.days * DAY_MS if said.days else 0,
        issued_at_ms=now_ms,
        key_id=key.key_id,
        log_id=place.log_id,
        pins_hash=pins if said.action == APPROVE else "",
        reason=said.reason,
        sequence=sequence + 1,
        server_id=said.server_id,
    )
    return command, sign_server_command(command, key)


def standing_of(policy: Policy, servers: Servers, place: Installation) -> Standing:
    """Return the registry of a data directory."""
    return registry(policy, servers, place.log_id, SystemClock().now_ms())


def named(standing: Standing, server_id: str) -> dict[str, Any]:
    """Return one server. Raises Failed where there is none of this name."""
    for one in standing["servers"]:
        if one["server_id"] == server_id:
            found: dict[str, Any] = one
            return found
    raise Failed(f"no MCP server {server_id!r}", "helm mcp list", "NOT_FOUND")


def tell(standing: Standing, *, as_json: bool) -> None:
    """Write the servers."""
    servers = standing["servers"]
    if as_json:
        show.as_object(servers)
        return
    rows = [
        (one["server_id"], one["state"], ", ".join(one["tool_names"]) or "-", ", ".join(one["drifted"]) or "-")
        for one in servers
    ]
    show.table(("SERVER", "STATE", "TOOLS", "DRIFTED"), rows)


def told_of(name: str, value: Any) -> str:
    """Return a member of a server's record as a person reads it."""
    if name.endswith("_ms"):
        return datetime.fromtimestamp(value / 1000, UTC).isoformat(timespec="seconds") if value else "-"
    return ", ".join(value) or "-" if isinstance(value, list) else str(value) or "-"
