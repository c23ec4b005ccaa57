"""What a folder holds, as one hash: of everything below it that a guest could open, and of no more.

The walk goes by the very handle through which the guest reads, in the order of the names. What counts is what a guest
can learn: names, which of them are folders, and the bytes of files. Modes, owners and times are none of it; a name that
no guest can open (another name of a file elsewhere, a mount) counts by itself. The hash says what was there when it was
looked at: whoever may write into the folder can change it behind the look.
"""

from __future__ import annotations

from collections.abc import Iterator

from helm.crypto import domains
from helm.crypto.canonical import record_bytes
from helm.crypto.hashing import hash_in, sha256_of
from helm.runtime.sandbox.port import Denied, Handle, Opening
from helm.runtime.sandbox.wasi import NOTCAPABLE

MAX_TREE_NAMES = 10_000
MAX_TREE_BYTES = 64 * 1024 * 1024
MAX_TREE_DEPTH = 64
"""What is looked at before every dispatch under a grant that pins a folder (T4)."""

PIECE_BYTES = 1024 * 1024

LOOKING = Opening(creates=False, is_exclusive=False, is_folder=False, truncates=False, writes=False)

FOLDER, FILE, CLOSED = "folder", "file", "closed"

Line = tuple[str, str, str]
"""A path below the folder, what is there, and the hash of a file's bytes, "" for anything else."""


class TooLarge(Exception):
    """There is more below the folder than is looked at."""

    def __init__(self) -> None:
        super().__init__(f"it holds more than {MAX_TREE_NAMES} names, or {MAX_TREE_BYTES} bytes")


def tree_hash(folder: Handle) -> str:
    """Return the hash of what lies below a folder. Raises TooLarge, and Denied where something cannot be read."""
    lines = sorted(walked(folder, Budget()))
    return hash_in(domains.TREE, record_bytes({"entries": [list(line) for line in lines]}))


class Budget:
    """What may still be looked at."""

    def __init__(self) -> None:
        self.names = MAX_TREE_NAMES
        self.bytes = MAX_TREE_BYTES

    def spend(self, names: int = 0, size: int = 0) -> None:
        """Count what is looked at. Raises TooLarge."""
        self.names -= names
        self.bytes -= size
        if self.names < 0 or self.bytes < 0:
            raise TooLarge


def walked(folder: Handle, budget: Budget) -> Iterator[Line]:
    """Yield a line for everything below a folder. Raises TooLarge, Denied."""
    waiting: list[tuple[str, ...]] = [(name,) for name in listed(folder, budget)]
    while waiting:
        names = waiting.pop()
        if len(names) > MAX_TREE_DEPTH:
            raise TooLarge
        kind, content, below = looked_into(folder, names, budget)
        waiting += [(*names, name) for name in below]
        yield "/".join(names), kind, content


def listed(folder: Handle, budget: Budget) -> list[str]:
    """Return the names in a folder. Raises TooLarge, Denied."""
    names = [name for name, _ in folder.entries()]
    budget.spend(names=len(names))
    return names


def looked_into(folder: Handle, names: tuple[str, ...], budget: Budget) -> tuple[str, str, list[str]]:
    """Return what lies there, the hash of a file's bytes, and the names in a folder. Raises TooLarge, Denied."""
    try:
        found = folder.open(names, LOOKING)
    except Denied as denied:
        if denied.error == NOTCAPABLE:
            return CLOSED, "", []
        raise
    try:
        if found.is_folder:
            return FOLDER, "", listed(found, budget)
        return FILE, sha256_of(pieces_of(found, budget)), []
    finally:
        found.close()


def pieces_of(file: Handle, budget: Budget) -> Iterator[bytes]:
    """Yield the bytes of a file, as many as there are now. Raises TooLarge, Denied."""
    at = 0
    while piece := file.read(at, PIECE_BYTES):
        budget.spend(size=len(piece))
        at += len(piece)
        yield piece
