"""helm connector: what stands between HELM and the world, why one is halted, and how it serves again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import click

from actors.cli import show
from actors.cli.approvals.reading import moment
from actors.cli.boundary_here import policy_of
from actors.cli.failure import Failed
from actors.cli.in_force import note_where_other
from actors.cli.place import data_dir_option, open_place
from actors.cli.receipts import state_of_journal
from actors.cli.server import API, Server, server_option, server_url
from actors.founding import ADMIN
from actors.installation import Installation
from helm.mcp.registry import pins_of, servers_of

CONNECTORS = f"{API}/connectors"


@click.group()
def connector() -> None:
    """Connectors: one that breaks its contract is halted until an operator resumes it."""


@connector.command("list")
@data_dir_option
@server_option
@show.json_option
def list_(data_dir: Path, server: str | None, as_json: bool) -> None:
    """List the connectors, and why one does not serve.

    Halted is in the log. Failing is known to a running kernel alone: ask it with --server.
    """
    url = server_url(data_dir, server)
    found = Server(url).get(CONNECTORS, {})["connectors"] if url else connectors_here(open_place(data_dir))
    if not url:
        note_where_other(open_place(data_dir))
    if as_json:
        show.as_object({"connectors": found})
    else:
        show.table(("connector", "state", "since", "why"), [row_of(one) for one in found])


@connector.command()
@click.argument("name")
@data_dir_option
@server_option
@show.json_option
def repin(name: str, data_dir: Path, server: str | None, as_json: bool) -> None:
    """Draft what an MCP server's pins would have to be.

    It changes nothing: put the pins into the policy (helm mcp pin writes them), sign its next epoch, and have the
    server approved anew.
    """
    url = server_url(data_dir, server)
    if url:
        told = Server(url).post(f"{CONNECTORS}/{quote(name, safe='')}/repin", {})
    else:
        told = pins_here(open_place(data_dir), name)
    if as_json:
        show.as_object(told)
        return
    rows = [
        (one["operation"], one["pinned"], "drifted" if one["drifted"] else "same", one["listed"])
        for one in told["pins"]
    ]
    show.table(("tool", "pinned", "state", "listed now"), rows)


@connector.command()
@click.argument("name")
@click.option("--reason", required=True, help="Why; it stands in the log for ever.")
@data_dir_option
@server_option
@show.json_option
def resume(name: str, reason: str, data_dir: Path, server: str | None, *, as_json: bool) -> None:
    """Let a halted connector serve again."""
    url = server_url(data_dir, server)
    if url:
        told = Server(url).post(f"{CONNECTORS}/{quote(name, safe='')}/resume", {"reason": reason})
    else:
        told = resumed_here(open_place(data_dir), name, reason)
    if as_json:
        show.as_object(told)
    else:
        show.note(f"{name} serves again")


def row_of(one: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Return a connector's line: what an operator has to lift is said before what may pass."""
    name = show.plain(one["name"])
    if one["halted"]:
        return name, "halted", "", show.plain(one["halted"])
    if one["failure"]:
        return name, "failing", moment(one["failing_since_ms"]), show.plain(one["failure"])
    return name, "serves", "", ""


def connectors_here(place: Installation) -> list[dict[str, Any]]:
    """Return the connectors of the policy's file, and why the log says that one is halted. Raises Invalid."""
    halted = state_of_journal(place.journal_at, place.log_id).memory.halted
    names = sorted({*policy_of(place).connectors, *halted})
    return [connector_here(name, halted.get(name, "")) for name in names]


def connector_here(name: str, halted: str) -> dict[str, Any]:
    """Return what is known of a connector without a kernel: nobody tries to reach it."""
    return {"failing_since_ms": None, "failure": "", "halted": halted, "name": name}


def pins_here(place: Installation, name: str) -> dict[str, Any]:
    """Return a server's pins, as the policy's file and the log have them. Raises Failed, Invalid."""
    policy = policy_of(place)
    if name not in servers_of(policy):
        raise Failed(f"no MCP server {name} is in the policy", "`helm connector list` shows them", "NOT_FOUND")
    memory = state_of_journal(place.journal_at, place.log_id).memory
    return pins_of(name, policy, memory.servers, memory.halted)


def resumed_here(place: Installation, name: str, reason: str) -> dict[str, Any]:
    """Resume a connector in a log that no kernel writes now. Raises Invalid where one does, or nothing is halted."""
    import trio

    from actors.commands.connectors import ResumeConnector
    from actors.opening import open_kernel

    async def obey() -> None:
        async with open_kernel(place, policy=None) as kernel:
            await kernel.command(ResumeConnector(name, reason, ADMIN))

    trio.run(obey)
    return connector_here(name, "")
