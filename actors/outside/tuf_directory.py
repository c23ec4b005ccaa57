"""A TUF repository as a directory: metadata/ and targets/, read within bounds and without following a link."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256, sha512
from pathlib import Path
from typing import Final

from actors.outside.file import CHUNK, OWN, bounded, unreadable
from helm.contracts.errors import Invalid
from helm.supply.metadata_set import MAX_TARGETS_BYTES
from helm.supply.tuf import StoredFile, check_target_name

METADATA: Final = "metadata"
TARGETS: Final = "targets"

MAX_FILES: Final = 4096
"""Most files of metadata that are looked at (T4)."""

MAX_BYTES: Final = 128 * 1024 * 1024
"""Most bytes of metadata that are held at a time (T4)."""

MAX_BESIDE: Final = 65_536
"""Most names in one directory of targets that are looked through (T4)."""

MAX_TARGET_BYTES: Final = 64 * 1024**3
"""Longest target that is hashed (T4)."""

HASH_DIGITS: Final = frozenset({64, 128})
"""How long the hashes are that may stand before a target's name: SHA-256 and SHA-512."""

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def read_metadata(repository: Path) -> dict[str, bytes]:
    """Return every file of metadata by its name. Raises Invalid for what is no plain directory of them."""
    found, left = dict[str, bytes](), MAX_BYTES
    with opened(repository, (METADATA,)) as folder:
        for name in sorted(names_in(folder, repository / METADATA, MAX_FILES)):
            if not name.endswith(".json"):
                continue
            place = repository / METADATA / name
            found[name] = read_in(folder, name, place)
            left -= len(found[name])
            if left < 0:
                raise Invalid(f"more than {MAX_BYTES} bytes of metadata", str(repository / METADATA))
    return found


def stored_files(repository: Path, name: str) -> tuple[StoredFile, ...]:
    """Return the files that may be a target: under its name, or behind a hash and a dot (specification 6.2.2).

    Raises Invalid.
    """
    check_target_name(name)
    *above, last = name.split("/")
    place = repository.joinpath(TARGETS, *above)
    with opened(repository, (TARGETS, *above)) as folder:
        named = [one for one in names_in(folder, place, MAX_BESIDE) if one == last or is_hashed(one, last)]
        return tuple(measured_in(folder, one, place / one) for one in sorted(named))


def stored_at(path: Path) -> tuple[StoredFile, ...]:
    """Return a file that the caller named, wherever it is. Raises Invalid."""
    try:
        return (measured(os.open(path, os.O_RDONLY | os.O_CLOEXEC), path),)
    except OSError as problem:
        raise unreadable(path, problem) from problem


def is_hashed(one: str, last: str) -> bool:
    before, dot, rest = one.partition(".")
    return bool(dot) and rest == last and len(before) in HASH_DIGITS and not before.strip("0123456789abcdef")


@contextmanager
def opened(repository: Path, below: tuple[str, ...]) -> Iterator[int]:
    """Open a directory step by step below the repository, so that no link leads out of it. Raises Invalid."""
    place, folder = repository, -1
    try:
        folder = os.open(repository, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        for step in below:
            place /= step
            above, folder = folder, os.open(step, FOLDER, dir_fd=folder)
            os.close(above)
        yield folder
    except OSError as problem:
        hint = "a repository is a directory with metadata/ and targets/, in which there are no links"
        raise Invalid(f"cannot be opened: {problem.strerror}", str(place), hint) from problem
    finally:
        if folder >= 0:
            os.close(folder)


def names_in(folder: int, place: Path, at_most: int) -> list[str]:
    names = os.listdir(folder)
    if len(names) > at_most:
        raise Invalid(f"{len(names)} files, more than {at_most}", str(place))
    return names


def read_in(folder: int, name: str, place: Path) -> bytes:
    """Return the bytes of a file of metadata. Raises Invalid for a link, a device, or one that is too long."""
    with os.fdopen(plain(folder, name, place), "rb") as file:
        return bounded(file.read(MAX_TARGETS_BYTES + 1), place, MAX_TARGETS_BYTES)


def measured_in(folder: int, name: str, place: Path) -> StoredFile:
    return measured(plain(folder, name, place), place)


def plain(folder: int, name: str, place: Path) -> int:
    """Open a regular file in a directory. Raises Invalid for anything else."""
    try:
        descriptor = os.open(name, OWN, dir_fd=folder)
    except OSError as problem:
        raise unreadable(place, problem) from problem
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Invalid("no regular file", str(place), "only files are taken, no links or devices")
    return descriptor


def measured(descriptor: int, place: Path) -> StoredFile:
    """Return length and hashes of an open file, which is then closed. Raises Invalid."""
    short, long, length = sha256(), sha512(), 0
    with os.fdopen(descriptor, "rb") as file:
        while chunk := file.read(CHUNK):
            short.update(chunk)
            long.update(chunk)
            length += len(chunk)
            if length > MAX_TARGET_BYTES:
                raise Invalid(f"more than {MAX_TARGET_BYTES} bytes", str(place))
    return StoredFile(place=str(place), length=length, hashes={"sha256": short.hexdigest(), "sha512": long.hexdigest()})
