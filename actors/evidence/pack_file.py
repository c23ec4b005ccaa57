"""A pack in its file, read where it lies: what is looked at is held, nothing else of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from helm.contracts.errors import Invalid
from helm.evidence.archive import Raw


class PackFile:
    """The bytes of an open file. It is as long as it was when it was opened."""

    def __init__(self, file: IO[bytes]) -> None:
        self._descriptor = file.fileno()
        self._size = os.fstat(self._descriptor).st_size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, at: slice) -> bytes:
        """Return the bytes from one place to another, fewer where the file was cut off meanwhile. Raises OSError."""
        start, stop, _ = at.indices(self._size)
        pieces: list[bytes] = []
        while start < stop and (piece := os.pread(self._descriptor, stop - start, start)):
            pieces.append(piece)
            start += len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


@contextmanager
def pack_in(path: Path) -> Iterator[Raw]:
    """Yield the pack in a file, which stays open for so long. Raises Invalid where it cannot be read."""
    try:
        with path.open("rb") as file:
            yield PackFile(file)
    except OSError as problem:
        raise Invalid(f"cannot be read: {problem.strerror}", str(path), "name a pack that is there") from problem
