"""helm reload: a running gateway reads policy, overlays and certificate again, and says what came of it."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any, Final

import click

from actors.cli import show
from actors.cli.failure import REFUSED, Failed
from actors.cli.place import data_dir_option

ANSWER_S: Final = 120.0
"""For the answer: a reload waits for connectors that are plugged anew."""

MAX_ANSWER_BYTES: Final = 64 * 1024


@click.command()
@data_dir_option
@click.option("--restart-servers", is_flag=True, help="Start every MCP server anew, also one that has not changed.")
@show.json_option
def reload(data_dir: Path, restart_servers: bool, as_json: bool) -> int:
    """Have the gateway of a data directory read policy, overlays and certificate again, like SIGHUP.

    Exit 1 where it refused them: then everything stays as it was. Only the owner of the data directory can ask.
    Settings of helm.toml that changed are named; they wait for a restart. An MCP server goes on where the policy says
    the same of it as before and its secrets are the same.
    """
    said = ask(data_dir, anew=restart_servers)
    if as_json:
        show.as_object(said)
    else:
        show.note(show.plain(str(said["said"])))
    return REFUSED if said["refused"] else 0


def ask(data_dir: Path, *, anew: bool = False) -> dict[str, Any]:
    """Return what the gateway answers. Raises Failed where none does."""
    from actors.doors.hatch import ANEW, NAME, RELOAD, address

    try:
        with address(data_dir) as path, socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(ANSWER_S)
            line.connect(path)
            line.sendall(ANEW if anew else RELOAD)
            raw = line.makefile("rb").readline(MAX_ANSWER_BYTES)
        said: dict[str, Any] = json.loads(raw)
    except (OSError, ValueError) as problem:
        hint = f"is `helm serve` running on {data_dir}?"
        raise Failed(f"no answer at {data_dir / NAME}: {problem}", hint, "NO_ANSWER") from problem
    return said
