"""helm boundary checkpoint: checkpoints under the name that the boundary gives them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from actors.cli import show
from actors.cli.audit import read_acts
from actors.cli.checkpoint.source import CHECKPOINTS, find, on_directory, on_server
from actors.cli.checkpoint.taking import row, take, tell
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import Server, server_option, server_url

REFUSED = 1

HEADS = ("number", "id", "cause", "receipts", "records", "sessions")


@click.group()
def boundary() -> None:
    """What the boundary between agents and the world states of itself."""


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
