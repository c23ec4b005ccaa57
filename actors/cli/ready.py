"""helm ready: whether a gateway judges calls, for whoever looks after its health."""

from __future__ import annotations

from pathlib import Path

import click

from actors.cli import show
from actors.cli.failure import REFUSED, Failed
from actors.cli.place import data_dir_option, open_place
from actors.cli.server import Server, server_option
from actors.doors.sockets import Address


@click.command()
@data_dir_option
@server_option
@show.json_option
def ready(data_dir: Path, server: str | None, as_json: bool) -> int:
    """Ask a gateway whether it judges calls; without --server, the one that helm.toml describes. No key is needed.

    Exit 0: it does. Exit 1: it starts, drains, or is not there.
    """
    url = server or own_url(data_dir)
    try:
        reply = Server(url, "").ask("GET", "/readyz")
        status, missed = reply.status, None
    except Failed as problem:
        status, missed = 0, problem.told
    said = {"ready": status == 200, "server": url, "status": status}
    if as_json:
        show.as_object(said)
    elif missed is not None:
        show.note(missed.message)
        show.note(f"  {missed.hint}")
    else:
        show.note(f"{url}: {'calls are judged' if said['ready'] else f'calls are not judged, HTTP {status}'}")
    return 0 if said["ready"] else REFUSED


def own_url(data_dir: Path) -> str:
    """Return where the gateway of a data directory listens: its settings say. Raises Invalid."""
    config = open_place(data_dir).config
    anywhere = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
    return config.url or Address(anywhere.get(config.bind, config.bind), config.port, bool(config.tls_cert)).url
