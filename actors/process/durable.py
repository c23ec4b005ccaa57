"""A file is there whole or not at all, whenever the power goes."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from helm.contracts.errors import Invalid

MODE = 0o600
FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
READABLE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def replace(path: Path, content: bytes) -> None:
    """Put a file of mode 0600 with `content` at `path`, in place of what stands there. Raises Invalid."""
    with replacing(path) as file:
        file.write(content)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Yield a file of mode 0600, readable too, that takes the place of `path` once the body is done, and only then.

    Where the body raises, nothing stays. Raises Invalid where the disk refuses.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with os.fdopen(os.open(temporary, READABLE, MODE), "w+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        sync_directory(path.parent)
    except OSError as error:
        hint = "its folder must be there, be yours, and have room"
        raise Invalid(f"the file cannot be written: {error.strerror}", str(path), hint) from error
    finally:
        temporary.unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Make the names in a directory durable. Raises OSError."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_new(path: Path, content: bytes) -> None:
    """Write a file of mode 0600 that was not there, and sync it; its name is not durable yet. Raises OSError."""
    with os.fdopen(os.open(path, FLAGS, MODE), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
