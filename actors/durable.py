"""A file is there whole or not at all, whenever the power goes."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from helm.contracts.errors import Invalid

MODE = 0o600
FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def replace(path: Path, content: bytes) -> None:
    """Put a file of mode 0600 with `content` at `path`, in place of what stands there. Raises Invalid."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        write_new(temporary, content)
        temporary.rename(path)
        sync_directory(path.parent)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        hint = "its folder must be there, be yours, and have room"
        raise Invalid(f"the file cannot be written: {error.strerror}", str(path), hint) from error


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
