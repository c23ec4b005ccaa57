"""A look at a journal of segments that cannot write and needs no lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs

from actors.stores.segments.reading import Reading
from helm.contracts.errors import Invalid


@attrs.define(eq=False)
class SegmentsGlance:
    """One reading of a directory."""

    _reading: Reading

    def head(self) -> int:
        """Return the number of the last row, 0 where there is none. Raises Invalid."""
        with readable(self._reading.directory):
            return self._reading.head()

    def page(self, first: int, limit: int) -> list[tuple[int, bytes]]:
        """Return at most `limit` rows from number `first` on. Raises Invalid."""
        with readable(self._reading.directory):
            return self._reading.page(first, limit)


@contextmanager
def segments_glance(directory: Path) -> Iterator[SegmentsGlance]:
    """Open the journal in a directory for reading. Raises Invalid where it is something else."""
    reading = Reading(directory)
    with readable(directory):
        reading.head()
    try:
        yield SegmentsGlance(reading)
    finally:
        reading.close()


@contextmanager
def readable(directory: Path) -> Iterator[None]:
    """Name the journal, whatever the disk says. Raises Invalid."""
    try:
        yield
    except OSError as error:
        raise Invalid(f"the journal cannot be read: {error}", str(directory)) from error
