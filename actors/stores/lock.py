"""One writer per journal: a lock that ends with the process that holds it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from actors.stores.port import JournalHeld
from helm.contracts.errors import Invalid

FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC

LOCKS = Path("/proc/locks")
"""Where Linux tells who holds a lock."""


def beside(path: Path) -> Path:
    """Return the lock file of what lies at `path`."""
    return path.with_name(path.name + ".lock")


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
            raise held(path, holder) from None
        raise Invalid(f"the lock cannot be taken: {error.strerror}", str(path)) from error
    return descriptor


def check_free(path: Path) -> None:
    """Raise Invalid, as `take` does, where somebody holds the lock file at `path`; nobody is kept from taking it.

    Where the system does not tell who holds a lock, nothing is known and nothing raised.
    """
    if path.exists() and LOCKS.exists() and is_locked(path, LOCKS.read_text()):
        raise held(path, path.read_text("ascii", "replace").strip())


def is_locked(path: Path, locks: str) -> bool:
    """Tell from the text of /proc/locks whether anyone holds a flock(2) on the file at `path`."""
    status = path.stat()
    name = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    return any(line.split()[1:2] == ["FLOCK"] and line.split()[5] == name for line in locks.splitlines())


def held(path: Path, holder: str) -> JournalHeld:
    """Return the refusal for a lock that another process holds."""
    return JournalHeld(str(path), f"process {holder} holds it", "directory")
