"""A look at a journal that cannot write and needs no lock: beside its running kernel, or without one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Protocol

from actors.stores.postgres.glance import postgres_glance
from actors.stores.segments.glance import segments_glance
from actors.stores.sqlite_glance import sqlite_glance, sqlite_version
from helm.contracts.errors import Invalid
from helm.database import Database

__all__ = ["Glance", "glance", "sqlite_version"]


class Glance(Protocol):
    """An open journal that is only read. Each read is short, so that the writer's tidying never waits for long."""

    def head(self) -> int:
        """Return the number of the last durable row, 0 where there is none. Raises Invalid."""

    def page(self, first: int, limit: int) -> list[tuple[int, bytes]]:
        """Return at most `limit` rows from number `first` on. Raises Invalid."""


@contextmanager
def glance(at: Path | Database) -> Iterator[Glance]:
    """Open the journal for reading. Raises Invalid where there is none, or where it is something else."""
    with looking(at) as journal:
        yield journal


def looking(at: Path | Database) -> AbstractContextManager[Glance]:
    """Return the look that the journal's store gives. Raises Invalid where there is none."""
    if isinstance(at, Database):
        return postgres_glance(at)
    if not at.exists():
        raise Invalid("there is no journal yet", str(at), "`helm serve` begins one with its first start")
    return segments_glance(at) if at.is_dir() else sqlite_glance(at)
