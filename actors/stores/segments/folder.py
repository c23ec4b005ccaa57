"""The directory of a journal: its files are named by the number of the row they begin with, and nobody else's."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from actors.process import durable
from helm.contracts.errors import Invalid

NAME = re.compile(r"([0-9]{20})\.segment")
UNFINISHED = "unfinished"
"""A file that gets its name when it can be written to. Found at a start, it is what a crash left: nothing is in it."""

DIRECTORY_MODE = 0o700
OTHERS = 0o077
RESTORE = "restore the journal from a copy"


def path_of(directory: Path, first: int) -> Path:
    """Return the file that begins with row number `first`."""
    return directory / f"{first:020d}.segment"


def make(directory: Path) -> None:
    """Make the directory durably, unless it is there. Raises OSError."""
    if not os.path.lexists(directory):
        directory.mkdir(mode=DIRECTORY_MODE)
        durable.sync_directory(directory.parent)


def files_of(directory: Path) -> list[tuple[int, Path]]:
    """Return the number of each file's first row, and the file, in order. Raises Invalid for what is not ours."""
    check_ours(directory, stat.S_ISDIR, "a directory")
    files = []
    for path in sorted(directory.iterdir()):
        name = NAME.fullmatch(path.name)
        if name is not None:
            check_ours(path, stat.S_ISREG, "a file")
            files.append((int(name[1]), path))
        elif path.name != UNFINISHED:
            raise Invalid("no file of a journal", str(path), "take it out of the journal's directory")
    return files


def check_ours(path: Path, is_kind: Callable[[int], bool], kind: str) -> None:
    """Raise Invalid unless what is at `path` itself, no link, belongs to us alone."""
    status = os.lstat(path)
    if not is_kind(status.st_mode):
        raise Invalid(f"not {kind}", str(path), RESTORE)
    if status.st_uid != os.geteuid():
        raise Invalid("it belongs to another user", str(path), "run HELM as the journal's owner")
    if status.st_mode & OTHERS:
        mode = stat.S_IMODE(status.st_mode)
        raise Invalid(f"mode {mode:04o} lets others at the journal", str(path), f"chmod go= {path}")
