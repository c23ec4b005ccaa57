"""helm evidence envelope list, get, payload: the envelopes that were made, and what is in them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from actors.cli import show
from actors.cli.envelope.making import ENVELOPES, check_free, tell
from actors.cli.failure import Failed
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import Server, server_option, server_url
from actors.evidence.envelopes import Envelopes
from actors.process import durable
from helm.crypto.radix64 import from_base64
from helm.evidence.envelopes.unwrap import unwrap


@click.command("list")
@data_dir_option
@server_option
@show.json_option
def list_(data_dir: Path, server: str | None, as_json: bool) -> None:
    """List the envelopes."""
    url = server_url(data_dir, server)
    place = None if url else open_place(data_dir)
    listed = [*(on_server(Server(url)) if place is None else (kept.manifest for kept in of(place.path)))]
    if as_json:
        show.as_object({"envelopes": listed})
        return
    heads = ("id", "envelope", "around", "made")
    names = ("manifest_id", "envelope", "subject", "created_at")
    show.table(heads, [tuple(show.plain(str(one[name])) for name in names) for one in listed])


def of(data_dir: Path) -> Any:
    return Envelopes.of(data_dir).behind("")


def on_server(server: Server) -> Iterator[dict[str, Any]]:
    """Yield the manifests that a running kernel tells of. Raises Failed."""
    after: str | None = ""
    while after is not None:
        page = server.get(ENVELOPES, {"after": after})
        if page is None:
            raise Failed(f"no envelopes at {server.url}", "is it a HELM kernel of this version?", "NO_ANSWER")
        yield from page["envelopes"]
        after = page["next"]


def find(name: str, data_dir: Path, url: str) -> dict[str, Any]:
    """Return an envelope as it is shown. Raises Failed."""
    if url:
        told = Server(url).get(f"{ENVELOPES}/{name}", {})
    else:
        kept = Envelopes.of(open_place(data_dir).path).find(name)
        told = None if kept is None else kept.body()
    if told is None:
        raise Failed(f"there is no envelope {name}", "`helm evidence envelope list` shows them", "NOT_FOUND")
    return dict(told)


@click.command()
@click.argument("name")
@click.option("-o", "--output", "out", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@data_dir_option
@server_option
@show.json_option
def get(name: str, out: Path | None, force: bool, data_dir: Path, server: str | None, as_json: bool) -> None:
    """Show the envelope NAME, or write it to a file as others read it."""
    check_free(out, force=force)
    told = find(name, data_dir, server_url(data_dir, server))
    if out is not None:
        durable.replace(out, from_base64(told["envelope"]))
        show.note(f"wrote {out}; whoever has the evidence key verifies it: helm evidence envelope verify {out}")
    tell(told, as_json=as_json)


@click.command()
@click.argument("name")
@data_dir_option
@server_option
def payload(name: str, data_dir: Path, server: str | None) -> None:
    """Write what the envelope NAME carries, byte for byte as it was signed."""
    told = find(name, data_dir, server_url(data_dir, server))
    sys.stdout.buffer.write(unwrap(from_base64(told["envelope"])).payload)
    sys.stdout.buffer.flush()
