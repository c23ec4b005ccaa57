"""helm boundary: how it stands, what it can do, what it has decided, and its checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from actors.boundary import capabilities
from actors.cli import show
from actors.cli.audit import read_acts
from actors.cli.boundary_here import level_here, record_here, records_here, standing_here, verified_here
from actors.cli.boundary_surfaces import surfaces
from actors.cli.checkpoint.source import CHECKPOINTS, find, on_directory, on_server
from actors.cli.checkpoint.taking import row, take, tell
from actors.cli.failure import Failed
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import API, Server, server_option, server_url
from helm.contracts.verdict import Verdict
from helm.surfaces.boundary import status as stated
from helm.surfaces.records import WantedRecords

REFUSED = 1

BOUNDARY = f"{API}/boundary"

RECORD_HEADS = ("record", "tenant", "principal", "tool", "verdict", "reason")
HEADS = ("number", "id", "cause", "receipts", "records", "sessions")


@click.group()
def boundary() -> None:
    """What the boundary between agents and the world states of itself."""


@boundary.command()
@data_dir_option
@server_option
@show.json_option
def status(data_dir: Path, server: str | None, as_json: bool) -> int:
    """Say how the boundary stands, part by part.

    Exit 1 where it judges no call: it is stopped, frozen, or its disk is full.
    """
    url = server_url(data_dir, server)
    told = Server(url).get(f"{BOUNDARY}/status", {}) if url else stated(standing_here(open_place(data_dir)))
    if as_json:
        show.as_object(told)
    else:
        said = ("status", "mode", "version", "receipt_signer", "receipt_store", "open_approval_count")
        show.fields([(name.replace("_", " "), show.plain(str(told[name]))) for name in said])
        rows = [(one["name"], one["state"], show.plain(one["detail"])) for one in told["components"]]
        show.table(("part", "state", "detail"), rows)
    return 0 if told["status"] in ("ready", "at-rest") else REFUSED


@boundary.command("capabilities")
@data_dir_option
@server_option
@show.json_option
def capabilities_(data_dir: Path, server: str | None, as_json: bool) -> None:
    """List what the boundary does, and where it is asked for."""
    url = server_url(data_dir, server)
    rows = (
        Server(url).get(f"{BOUNDARY}/capabilities", {})["capabilities"] if url else capabilities(level_here(data_dir))
    )
    if as_json:
        show.as_object({"capabilities": rows})
        return
    heads = ("capability", "authority", "commands")
    show.table(heads, [(one["capability_id"], one["authority"], ", ".join(one["cli_commands"])) for one in rows])


@boundary.command()
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True, help="How many, the latest.")
@click.option("--verdict", type=click.Choice([*Verdict]), help="Only those with this verdict.")
@click.option("--reason-code", help="Only those that were refused for this reason.")
@click.option("--tool-name", help="Only those about this tool.")
@click.option("--mcp-server-id", help="Only those about this MCP server.")
@click.option("--policy-epoch", type=click.IntRange(0), help="Only those under this epoch of the policy.")
@data_dir_option
@server_option
@show.json_option
def records(limit: int, data_dir: Path, server: str | None, as_json: bool, **said: Any) -> None:
    """List the latest boundary records, oldest first."""
    url, wanted = server_url(data_dir, server), {name: str(value) for name, value in said.items() if value is not None}
    if url:
        found = records_told(Server(url), wanted, limit)
    else:
        found = records_here(open_place(data_dir), WantedRecords.of(None, wanted), limit)
    if as_json:
        show.as_object({"records": found})
    else:
        show.table(RECORD_HEADS, [record_row(one) for one in found])


@boundary.command()
@click.argument("record_id", metavar="ID")
@data_dir_option
@server_option
@show.json_option
def get(record_id: str, data_dir: Path, server: str | None, as_json: bool) -> int:
    """Show one boundary record."""
    url = server_url(data_dir, server)
    found = Server(url).get(f"{BOUNDARY}/records/{record_id}", {}) if url else record_here(data_dir, record_id)
    if found is None:
        raise Failed(f"there is no record {record_id}", "`helm boundary records` shows them", "NOT_FOUND")
    if as_json:
        show.as_object(found)
    else:
        show.fields([(name.replace("_", " "), show.plain(str(value)) or "-") for name, value in found.items()])
    return 0


@boundary.command()
@click.argument("record_id", metavar="ID")
@data_dir_option
@server_option
@show.json_option
def verify(record_id: str, data_dir: Path, server: str | None, as_json: bool) -> int:
    """Check a record against its decision and receipt.

    The proof under the checkpoint above it is checked too, where one covers it.
    With --server the kernel checks; without, this machine does, and asks nobody. Exit 1 where anything is wrong.
    """
    url = server_url(data_dir, server)
    if url:
        told = Server(url).post(f"{BOUNDARY}/records/{record_id}/verify", {})
    else:
        told = verified_here(open_place(data_dir), record_id)
    return say(told, as_json=as_json)


@boundary.command()
@click.option("--create", is_flag=True, help="Take one of everything so far.")
@click.option("--verify", "name", default="", metavar="ID", help="Verify one by id or number.")
@data_dir_option
@server_option
@show.json_option
def checkpoint(create: bool, name: str, data_dir: Path, server: str | None, as_json: bool) -> int:
    """List the checkpoints, take one, verify one.

    `helm checkpoint` does more. Exit 1 where one does not hold.
    """
    if create and name:
        raise click.UsageError("--create or --verify, not both")
    url = server_url(data_dir, server)
    if create:
        tell(Server(url).post(CHECKPOINTS, {}) if url else take(open_place(data_dir)), as_json=as_json)
        return 0
    if name:
        return say(verified(data_dir, url, name), as_json=as_json)
    listed = on_server(Server(url)) if url else on_directory(open_place(data_dir))
    if as_json:
        show.as_object({"checkpoints": listed})
    else:
        show.table(HEADS, [row(one) for one in listed])
    return 0


def verified(data_dir: Path, url: str, name: str) -> dict[str, Any]:
    """Return what verifying a checkpoint comes to, as the HTTP route tells it. Raises Failed, and Invalid.

    Without a kernel the whole log is read again, and every checkpoint with it: a log that does not hold is named.
    """
    if url:
        told: dict[str, Any] = Server(url).post(f"{CHECKPOINTS}/{name}/verify", {})
        return told
    place = open_place(data_dir)
    read_acts(place)
    found = find(place, "", name)
    check = {"detail": "", "name": "the log below it comes to what it states", "ok": True}
    names = {said: found[said] for said in ("checkpoint_hash", "checkpoint_id")}
    return names | {"checks": [check], "verified": True}


def say(told: dict[str, Any], *, as_json: bool) -> int:
    """Write each check, and return the exit code."""
    if as_json:
        show.as_object(told)
    else:
        for check in told["checks"]:
            click.echo(f"{show.state('ok' if check['ok'] else 'fail')}  {check['name']} {check['detail']}".rstrip())
    return 0 if told["verified"] else REFUSED


def records_told(server: Server, wanted: dict[str, str], limit: int) -> list[dict[str, Any]]:
    """Return the latest records that a running kernel tells of, oldest first. Raises Failed."""
    found: list[dict[str, Any]] = []
    before: int | str | None = ""
    while before is not None and len(found) < limit:
        page = server.get(f"{BOUNDARY}/records", {**wanted, "limit": limit - len(found), "before": before})
        found, before = page["records"] + found, page["before"]
    return found


def record_row(record: dict[str, Any]) -> tuple[str, ...]:
    """Return a record as a line of the table."""
    said = (show.plain(record[name]) or "-" for name in ("tenant", "principal", "tool_name"))
    return (record["record_id"], *said, show.verdict(record["verdict"]), record["reason_code"] or "-")


boundary.add_command(surfaces)
