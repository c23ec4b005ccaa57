"""helm supply verify-tuf: a repository of update metadata, checked from a root that you pin."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any

import click

from actors.cli import show
from actors.cli.supply.telling import tell
from actors.cli.supposing import MOMENT
from actors.outside.file import read_whole
from actors.outside.tuf_directory import read_metadata, stored_at, stored_files
from actors.process import durable
from actors.process.clock import SystemClock
from helm.contracts.errors import Invalid
from helm.supply.metadata_set import LIMITS, ROOT
from helm.supply.tuf import StoredFile, TufReading, check_target_name, verify_repository
from helm.supply.tuf_memory import MAX_MEMORY_BYTES, written_memory

FILE = click.Path(path_type=Path, dir_okay=False)
LOCK = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def asked(command: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options that say which files are asked about, as one `files`."""

    @click.option("--target", "stored", multiple=True, metavar="NAME", help="A target in REPOSITORY/targets.")
    @click.option("--file", "given", multiple=True, type=(str, FILE), metavar="NAME FILE", help="A target elsewhere.")
    @click.option("--metadata-only", is_flag=True, help="Verify every role, and no file.")
    @wraps(command)
    def asking(stored: tuple[str, ...], given: tuple[tuple[str, Path], ...], metadata_only: bool, **more: Any) -> int:
        names = [*stored, *(name for name, _ in given)]
        if metadata_only == bool(names):
            raise click.UsageError("name what to verify: --target, --file, or --metadata-only for no file at all")
        if len(set(names)) != len(names):
            raise click.UsageError("a target is named twice: which file is it?")
        return command(stored=stored, given=given, **more)

    return asking


@click.command(short_help="Verify a TUF repository, and files of it.")
@click.argument("repository", type=click.Path(path_type=Path, file_okay=False))
@click.option("--root", type=FILE, required=True, help="The root that you were told of; newer ones are found from it.")
@asked
@click.option("--state", type=FILE, help="What was seen last; written anew when all is well.")
@click.option("--at", "at_ms", type=MOMENT, help="The time that decides what has expired. Default: now.")
@show.json_option
def verify_tuf(root: Path, state: Path | None, at_ms: int | None, as_json: bool, **asked_for: Any) -> int:
    """Verify REPOSITORY, a directory with metadata/ and targets/, as a client of it would, without a network.

    Without --state nobody can tell that it is older than one that you have seen.
    """
    now_ms = SystemClock().now_ms() if at_ms is None else at_ms
    with remembering(state) as memory:
        reading = TufReading(
            root=read_whole(root, LIMITS[ROOT]),
            metadata=read_metadata(asked_for["repository"]),
            at=datetime.fromtimestamp(now_ms / 1000, UTC),
            files=files_of(**asked_for),
            memory=memory,
        )
        findings = verify_repository(reading)
        if findings.verified and state is not None:
            durable.replace(state, written_memory(reading.now))
    return tell(findings, as_json=as_json)


def files_of(
    *, repository: Path, stored: tuple[str, ...], given: tuple[tuple[str, Path], ...]
) -> dict[str, tuple[StoredFile, ...]]:
    """Return the files that may be each target that is asked about. Raises Invalid."""
    found = {name: stored_files(repository, name) for name in stored}
    for name, path in given:
        check_target_name(name)
        found[name] = stored_at(path)
    return found


@contextmanager
def remembering(state: Path | None) -> Iterator[bytes | None]:
    """Give what was seen last, None for the first time; nobody else writes it meanwhile. Raises Invalid."""
    if state is None:
        yield None
        return
    lock = held(state.with_name(state.name + ".lock"))
    try:
        yield read_whole(state, MAX_MEMORY_BYTES) if os.path.lexists(state) else None
    finally:
        os.close(lock)


def held(path: Path) -> int:
    """Return a lock file that is ours until it is closed. Raises Invalid."""
    try:
        descriptor = os.open(path, LOCK, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise
    except OSError as problem:
        hint = "its folder must be there and yours, and no other verification may be using it"
        raise Invalid(f"cannot be locked: {problem.strerror}", str(path), hint) from problem
    return descriptor
