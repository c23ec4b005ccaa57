"""helm checkpoint now, list, show, cosign: taking checkpoints and showing them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from actors.cli import show as shown
from actors.cli.checkpoint.source import CHECKPOINTS, Told, find, on_directory, on_server, read_file
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import Server, server_option, server_url
from actors.installation import Installation


@click.command()
@data_dir_option
@server_option
@shown.json_option
def now(data_dir: Path, server: str | None, as_json: bool) -> None:
    """Take a checkpoint of everything so far. Where nothing came since the last one, that one is shown."""
    url = server_url(data_dir, server)
    tell(Server(url).post(CHECKPOINTS, {}) if url else take(open_place(data_dir)), as_json=as_json)


def take(place: Installation) -> Told:
    """Take a checkpoint of a log that no kernel writes now. Raises Invalid where one does."""
    import trio

    return trio.run(write, place)


async def write(place: Installation) -> Told:
    """Run a kernel without a policy for as long as it takes."""
    from actors.checkpointing import Checkpointing
    from actors.opening import open_kernel

    async with open_kernel(place, policy=None) as kernel:
        checkpointing = Checkpointing(kernel)
        return await checkpointing.told(await checkpointing.take())


@click.command("list")
@data_dir_option
@server_option
@shown.json_option
def list_(data_dir: Path, server: str | None, as_json: bool) -> None:
    """List the checkpoints, oldest first."""
    url = server_url(data_dir, server)
    listed = on_server(Server(url)) if url else on_directory(open_place(data_dir))
    if as_json:
        shown.as_object({"checkpoints": listed})
        return
    heads = ("number", "id", "cause", "receipts", "records", "sessions")
    shown.table(heads, [row(one) for one in listed])


def row(one: Told) -> tuple[str, ...]:
    """Return one line of the list."""
    said = one["checkpoint"]
    sizes = (f"{said[name]:,}" for name in ("receipts_size", "records_size", "heads_size"))
    return (str(said["sequence"]), one["checkpoint_id"], said["cause"], *sizes)


@click.command()
@click.argument("name", default="latest")
@click.option("--note", is_flag=True, help="Write it as a signed note, for witnesses and log tools (c2sp.org).")
@data_dir_option
@server_option
@shown.json_option
def show(name: str, note: bool, data_dir: Path, server: str | None, as_json: bool) -> None:
    """Show the checkpoint NAME: an id, a number, or `latest`."""
    url = server_url(data_dir, server)
    found = find(None if url else open_place(data_dir), url, name)
    if note:
        click.echo(found["note"], nl=False)
    else:
        tell(found, as_json=as_json)


@click.command()
@click.argument("name")
@click.argument("note", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@data_dir_option
@server_option
@shown.json_option
def cosign(name: str, note: Path, data_dir: Path, server: str | None, as_json: bool) -> None:
    """Hand in the signed NOTE of checkpoint NAME with lines of witnesses whose keys the trust registry knows."""
    url, raw = server_url(data_dir, server), read_file(note)
    if url:
        body = {"note": raw.decode("utf-8", "replace")}
        answer = Server(url).post(f"{CHECKPOINTS}/{name}/cosignatures", body)
    else:
        answer = take_cosignatures(open_place(data_dir), name, raw)
    shown.note(f"{answer['taken']} of its lines are by witnesses that the registry knows")
    tell(answer, as_json=as_json)


def take_cosignatures(place: Installation, name: str, raw: bytes) -> Told:
    """Have a kernel of our own take them. Raises Invalid and Failed."""
    import trio

    return trio.run(write_cosignatures, place, name, raw)


async def write_cosignatures(place: Installation, name: str, raw: bytes) -> Told:
    """Run a kernel without a policy for as long as it takes."""
    from actors.checkpointing import Checkpointing
    from actors.cli.failure import Failed
    from actors.opening import open_kernel
    from helm.evidence.note import read_note

    async with open_kernel(place, policy=None) as kernel:
        checkpointing = Checkpointing(kernel)
        sealed = await checkpointing.find(name)
        if sealed is None:
            raise Failed(f"there is no checkpoint {name}", "`helm checkpoint list` shows them", "NOT_FOUND")
        taken = await checkpointing.cosign(sealed, read_note(raw))
        return await checkpointing.told(sealed) | {"taken": taken}


def tell(one: dict[str, Any], *, as_json: bool) -> None:
    """Write one checkpoint."""
    if as_json:
        shown.as_object(one)
        return
    said = one["checkpoint"]
    fields = [("checkpoint", one["checkpoint_id"]), ("hash", one["checkpoint_hash"])]
    fields += [(name, str(value)) for name, value in said.items() if name not in ("version", "shard")]
    fields.append(("signatures", str(one["note"].rpartition("\n\n")[2].count("\n"))))
    shown.fields(fields)
