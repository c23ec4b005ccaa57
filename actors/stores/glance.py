"""A look at a journal that cannot write and needs no lock: beside its running kernel, or without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from actors.stores.segments.glance import segments_glance
from actors.stores.sqlite_glance import sqlite_glance, sqlite_version
from helm.contracts.errors import Invalid

__all__ = ["Glance", "glance", "sqlite_version"]


class Glance(Protocol):
    """An open journal that is only read. Each read is short, so that the writer's tidying never waits for long."""

    def head(self) -> int:
        """Return the number of the last durable row, 0 where there is none. Raises Invalid."""

    def page(self, first: int, limit: int) -> list[tuple[int, bytes]]:
        """Return at most `limit` rows from number `first` on. Raises Invalid."""


@contextmanager
def glance(path: Path) -> Iterator[Glance]:
    """Open the journal at `path` for reading. Raises Invalid where there is none, or where it is something else."""
    if not path.exists():
        raise Invalid("there is no journal yet", str(path), "`helm serve` begins one with its first start")
    with segments_glance(path) if path.is_dir() else sqlite_glance(path) as journal:
        yield journal
