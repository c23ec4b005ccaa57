"""The ground a journal stands on: the file is still the one that was opened, on a disk with room left."""

from __future__ import annotations

import os
import time
from pathlib import Path

import attrs

EVERY_S = 0.25
"""A look costs two system calls; the reserve is far larger than what a quarter of a second can write."""


def identity_of(path: Path) -> tuple[int, int]:
    status = os.stat(path)
    return (status.st_dev, status.st_ino)


@attrs.define
class Ground:
    """Looked at by the writer's thread only, because a hung disk hangs the look too."""

    path: Path
    reserve: int
    """Bytes that must stay free."""
    low: bool = attrs.field(default=False, init=False)
    _identity: tuple[int, int] = attrs.field(init=False)
    _next_look: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self._identity = identity_of(self.path)

    def move(self, path: Path) -> None:
        """Look at another file from now on. Raises OSError when it is not there."""
        self._identity = identity_of(path)
        self.path = path

    def is_due(self) -> bool:
        """True when the last look is too old."""
        return time.monotonic() >= self._next_look

    def check(self, room: int | None) -> None:
        """Look; `room` is what a quota leaves, in bytes. Raises OSError when the file is gone or replaced."""
        if identity_of(self.path) != self._identity:
            raise FileNotFoundError(f"{self.path} was replaced")
        disk = os.statvfs(self.path.parent)
        free = disk.f_bavail * disk.f_frsize
        self.low = min(free, free if room is None else room) < self.reserve
        self._next_look = time.monotonic() + EVERY_S
