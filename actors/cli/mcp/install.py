"""helm mcp print-config, helm mcp install: a client that starts its servers through HELM."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import attrs
import click

from actors.cli import show
from actors.cli.mcp.launching import launch
from actors.cli.place import data_dir_option, open_place
from actors.process import durable
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto.hashing import sha256
from helm.mcp.clients import CLIENTS, LOCAL, PROJECT, USER, Client, Home
from helm.mcp.jsonc import MAX_CHARACTERS
from helm.mcp.settings import alone, with_entry

BACKUP: Final = "helm-backup"
ABSENT: Final = "helm-absent"
"""What stands beside a file that HELM changed: its bytes as they were, or that there was none. Its name ends with the
hash of what HELM wrote, so that nothing else is ever undone."""

EVERYTHING: Final = "helm"
"""What a client calls the server that serves all tools."""


@attrs.frozen(kw_only=True)
class Target:
    """Which entry, in which file."""

    client: Client
    path: Path
    place: tuple[str, ...]
    name: str
    entry: dict[str, JSONValue]


def target_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options that name a target."""
    for option in (
        click.option("--client", "client_name", type=click.Choice(list(CLIENTS)), required=True),
        click.option("--server", "server_id", help="One server of the policy; without it, all tools of the policy."),
        click.option("--scope", type=click.Choice([USER, PROJECT, LOCAL]), default=USER, show_default=True),
        click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="The client's file."),
        data_dir_option,
    ):
        command = option(command)
    return command


@click.command("print-config")
@target_options
def print_config(**options: Any) -> None:
    """Write the configuration that lets a client start its server through HELM; change nothing."""
    target = target_of(**options)
    click.echo(alone(target.client, target.place, target.name, target.entry), nl=False)
    show.note(f"for {target.client.name}: {target.path}")


@click.command()
@target_options
@click.option("--dry-run", is_flag=True, help="Write the difference, and change nothing.")
@click.option("--undo", is_flag=True, help="Put back what stood there before, byte for byte.")
def install(*, dry_run: bool, undo: bool, **options: Any) -> None:
    """Let a client start its server through HELM: put one entry into its file, beside a backup."""
    target = target_of(**options)
    if undo:
        put_back(target.path)
        return
    before = read(target.path)
    text = decoded(before or b"", target.path)
    after = with_entry(target.client, text, target.place, target.name, target.entry, str(target.path))
    if dry_run:
        lines = difflib.unified_diff(
            text.splitlines(keepends=True), after.splitlines(keepends=True), str(target.path), f"{target.path} (after)"
        )
        click.echo("".join(lines), nl=False)
    elif after == text and before is not None:
        show.note(f"{target.path} says so already")
    else:
        put(target.path, before, after.encode())
        show.note(f"{target.path}: {target.name} is started through HELM; --undo puts it back")


def target_of(*, client_name: str, server_id: str | None, scope: str, config: Path | None, data_dir: Path) -> Target:
    """Return what the options name. Raises Invalid."""
    client, home = CLIENTS[client_name], home_of()
    client.check_scope(scope)
    path = config or Path(client.path(scope, home))
    return Target(
        client=client,
        path=path.resolve(),  # a link stays a link: what it leads to is replaced
        place=client.place(scope, home),
        name=server_id or EVERYTHING,
        entry=client.entry(launch(open_place(data_dir), server_id)),
    )


def home_of() -> Home:
    """Return where the settings of whoever runs this are."""
    variable = "APPDATA" if sys.platform == "win32" else "XDG_CONFIG_HOME"
    return Home(
        system=sys.platform,
        home=str(Path.home()),
        project=str(Path.cwd()),
        settings=os.environ.get(variable, ""),
        codex=os.environ.get("CODEX_HOME", ""),
    )


def read(path: Path) -> bytes | None:
    """Return the bytes of a client's file, None where there is none. Raises Invalid."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise Invalid(f"cannot be read: {problem.strerror}", str(path), "name another with --config") from problem


def decoded(raw: bytes, path: Path) -> str:
    """Return a file's text. Raises Invalid for what no client reads, or reads otherwise."""
    if len(raw) > MAX_CHARACTERS or raw.startswith(b"\xef\xbb\xbf"):
        raise Invalid("too large, or begins with a byte order mark", str(path), "put it in order by hand first")
    try:
        return raw.decode("utf-8", "strict")
    except UnicodeDecodeError as problem:
        raise Invalid("is not UTF-8", str(path), "put it in order by hand first") from problem


def beside(path: Path, kind: str, written: bytes) -> Path:
    """Return where the file stands that undoes the writing of these bytes."""
    return path.with_name(f"{path.name}.{kind}.{sha256(written).partition(':')[2][:32]}")


def put(path: Path, before: bytes | None, after: bytes) -> None:
    """Replace a file in one step, its backup first. Raises Invalid where somebody else wrote it meanwhile."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise Invalid(f"its folder cannot be made: {problem.strerror}", str(path)) from problem
    mode = path.stat().st_mode & 0o777 if before is not None else None
    durable.replace(beside(path, ABSENT if before is None else BACKUP, after), before or b"")
    if read(path) != before:
        raise Invalid("somebody else is writing it", str(path), "close the client, then do it again")
    durable.replace(path, after)
    if mode is not None:
        path.chmod(mode)


def put_back(path: Path) -> None:
    """Undo the last change, if nobody changed the file since. Raises Invalid."""
    now = read(path)
    backup, absent = beside(path, BACKUP, now or b""), beside(path, ABSENT, now or b"")
    if now is not None and (before := read(backup)) is not None:
        mode = path.stat().st_mode & 0o777
        durable.replace(path, before)
        path.chmod(mode)
        backup.unlink()
        show.note(f"{path} is as it was")
    elif now is not None and absent.exists():
        path.unlink()
        absent.unlink()
        show.note(f"{path} is gone again")
    else:
        kept = ", ".join(sorted(one.name for one in path.parent.glob(f"{path.name}.helm-*"))) or "none"
        hint = f"it was changed since, or never by HELM; backups beside it: {kept}"
        raise Invalid("there is nothing to undo", str(path), hint)
