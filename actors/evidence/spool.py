"""A spool in a file without a name: the parts of a long pack, until it is written. It is gone with its process."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from tempfile import TemporaryFile
from typing import IO

from helm.evidence.spool import Spool


class FileSpool:
    """One file, written at its end and read anywhere."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._size = 0

    def put(self, content: bytes) -> int:
        """Put bytes behind those that are there; return where they begin. Raises OSError."""
        self._file.write(content)
        at, self._size = self._size, self._size + len(content)
        return at

    def get(self, at: int, size: int) -> bytes:
        """Return so many bytes from there on. Raises OSError."""
        self._file.flush()
        return os.pread(self._file.fileno(), size, at)


@contextmanager
def file_spools() -> Iterator[Callable[[], Spool]]:
    """Yield a maker of spools that are there as long as the body runs."""
    with ExitStack() as stack:
        yield lambda: FileSpool(stack.enter_context(TemporaryFile()))
