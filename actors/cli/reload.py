"""helm reload: a running gateway reads policy, overlays and certificate again, and says what came of it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
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
    with reached(data_dir) as line:
        return answer(line, data_dir, anew=anew)


@contextmanager
def reached(data_dir: Path) -> Iterator[socket.socket]:
    """Yield a line to the gateway that listens, which was asked nothing yet. Raises Failed where none does."""
    from actors.doors.hatch import address

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
        line.settimeout(ANSWER_S)
        try:
            with address(data_dir) as path:
                line.connect(path)
        except OSError as problem:
            raise no_answer(data_dir, problem) from problem
        yield line


def answer(line: socket.socket, data_dir: Path, *, anew: bool = False) -> dict[str, Any]:
    """Ask on a line, and return what the gateway answers. Raises Failed where it does not."""
    from actors.doors.hatch import ANEW, RELOAD

    try:
        line.sendall(ANEW if anew else RELOAD)
        said = json.loads(line.makefile("rb").readline(MAX_ANSWER_BYTES))
        if not isinstance(said, dict) or not {"refused", "said"} <= said.keys():
            raise ValueError("it is none that a gateway gives")
    except (OSError, ValueError) as problem:
        raise no_answer(data_dir, problem) from problem
    return said


def no_answer(data_dir: Path, problem: Exception) -> Failed:
    """Return what is raised where no gateway answers."""
    from actors.doors.hatch import NAME

    hint = f"is `helm serve` running on {data_dir}?"
    return Failed(f"no answer at {data_dir / NAME}: {problem}", hint, "NO_ANSWER")
