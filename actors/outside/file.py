"""Files that others made: read whole within a bound, or hashed without being held."""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path
from typing import Final

from helm.contracts.errors import Invalid

CHUNK: Final = 1024 * 1024
"""Bytes of a file that are held while it is hashed."""

MAX_ARTIFACT_BYTES: Final = 64 * 1024**3
"""Longest artifact that is hashed: a pipe without an end must end somewhere (T4)."""

OWN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def read_whole(path: Path, at_most: int) -> bytes:
    """Return the bytes of a file that the caller named. Raises Invalid for one that is longer."""
    try:
        with path.open("rb") as file:
            return bounded(file.read(at_most + 1), path, at_most)
    except OSError as problem:
        raise unreadable(path, problem) from problem


def read_within(path: Path, at_most: int) -> bytes:
    """Return the bytes of a regular file in somebody's directory: a link leads out of it. Raises Invalid."""
    try:
        with os.fdopen(os.open(path, OWN), "rb") as file:
            if not os.path.isfile(file.fileno()):
                raise Invalid("no regular file", str(path), "only files are taken, no links or devices")
            return bounded(file.read(at_most + 1), path, at_most)
    except OSError as problem:
        raise unreadable(path, problem) from problem


def digest_of(path: Path) -> bytes:
    """Return the SHA-256 of a file that the caller named. Raises Invalid."""
    hashed, left = sha256(), MAX_ARTIFACT_BYTES
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                hashed.update(chunk)
                left -= len(chunk)
                if left < 0:
                    raise Invalid(f"more than {MAX_ARTIFACT_BYTES} bytes", str(path))
    except OSError as problem:
        raise unreadable(path, problem) from problem
    return hashed.digest()


def bounded(raw: bytes, path: Path, at_most: int) -> bytes:
    if len(raw) > at_most:
        raise Invalid(f"more than {at_most} bytes", str(path), "is this the file that you meant?")
    return raw


def unreadable(path: Path, problem: OSError) -> Invalid:
    return Invalid(f"cannot be read: {problem.strerror}", str(path), "name a file that is there")
