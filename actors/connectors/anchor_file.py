"""A file of lines that is only ever appended to: each line is there whole, in order, and on the disk.

Two processes that append take turns. What somebody else left unfinished at its end is not gone over: the file is
refused, and a person looks at it.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

MODE: Final = 0o600
FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class NotAppended(Exception):
    """The line is not in the file, or nobody knows."""


def append(path: Path, line: bytes) -> None:
    """Put a line at the end of a file, which is made where it is not there. Raises NotAppended. Blocks."""
    try:
        descriptor = os.open(path, FLAGS, MODE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            check_whole(descriptor)
            if os.write(descriptor, line) != len(line):
                raise NotAppended("the disk is full: half a line was written")
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        sync_names(path.parent)
    except OSError as problem:
        raise NotAppended(f"{problem.strerror or type(problem).__name__}") from problem


def check_whole(descriptor: int) -> None:
    """Raise NotAppended where the file's last line is cut off, or what it is is no file."""
    size = os.lseek(descriptor, 0, os.SEEK_END)
    if size and os.pread(descriptor, 1, size - 1) != b"\n":
        raise NotAppended("its last line is cut off: look at it, then take that line away")


def sync_names(folder: Path) -> None:
    """Make the name of a new file durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
