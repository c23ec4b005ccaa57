"""One writer per journal: a lock that ends with the process that holds it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from actors.stores.port import JournalHeld
from helm.contracts.errors import Invalid

FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


def take(path: Path) -> int:
    """Take the lock file at `path` and return its descriptor; closing it gives the lock back. Raises Invalid.

    The file itself stays: a lock on a removed name and a lock on its successor would both be granted.
    """
    try:
        descriptor = os.open(path, FLAGS, 0o600)
    except OSError as error:
        raise Invalid(f"the lock file cannot be opened: {error.strerror}", str(path)) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.pwrite(descriptor, f"{os.getpid():<20}\n".encode(), 0)  # in place: a full disk has room for it
    except OSError as error:
        holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise JournalHeld(str(path), f"process {holder} holds it", "directory") from None
        raise Invalid(f"the lock cannot be taken: {error.strerror}", str(path)) from error
    return descriptor
