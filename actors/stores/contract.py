"""The tables that both databases keep a journal in, written down once.

SQLite's version stands in its header (`user_version`), PostgreSQL's in the table `helm_store`, which is its alone: a
server has no file whose header and lock could say whose it is, and who writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import attrs


class Kind(StrEnum):
    """What a column holds."""

    NUMBER = "number"
    BYTES = "bytes"
    TEXT = "text"


SQLITE: Final[Mapping[Kind, str]] = {Kind.NUMBER: "INTEGER", Kind.BYTES: "BLOB", Kind.TEXT: "TEXT"}
POSTGRES: Final[Mapping[Kind, str]] = {Kind.NUMBER: "bigint", Kind.BYTES: "bytea", Kind.TEXT: "text"}


@attrs.frozen
class Table:
    """A table whose first column is its key; no column may be empty."""

    name: str
    columns: tuple[tuple[str, Kind], ...]

    def in_sqlite(self) -> str:
        """Return the statement that makes it, as SQLite keeps it in its schema."""
        key, *others = [f"{name} {SQLITE[kind]}" for name, kind in self.columns]
        bound = "PRIMARY KEY" if self.columns[0][1] is Kind.NUMBER else "PRIMARY KEY NOT NULL"
        columns = [f"{key} {bound}", *(f"{one} NOT NULL" for one in others)]
        return f"CREATE TABLE {self.name}({', '.join(columns)}) STRICT"

    def in_postgres(self) -> str:
        """Return the statement that makes it."""
        key, *others = [f"{name} {POSTGRES[kind]}" for name, kind in self.columns]
        columns = [f"{key} PRIMARY KEY", *(f"{one} NOT NULL" for one in others)]
        return f"CREATE TABLE {self.name}({', '.join(columns)})"


JOURNAL: Final = Table("journal", (("seq", Kind.NUMBER), ("body", Kind.BYTES)))
"""The log itself: rows 1, 2, 3, ... of canonical JSON. Everything else is made from it."""

SNAPSHOTS: Final = Table(
    "boundary_surface_snapshots",
    (
        ("surface", Kind.TEXT),
        ("upto_seq", Kind.NUMBER),
        ("format", Kind.NUMBER),
        ("state", Kind.TEXT),
        ("state_hash", Kind.TEXT),
    ),
)
"""What each surface came to at row `upto_seq`, for whoever looks with SQL. A cache: the rows are the truth."""

STORE: Final = Table(
    "helm_store",
    (
        ("mark", Kind.TEXT),
        ("version", Kind.NUMBER),
        ("writer_epoch", Kind.NUMBER),
        ("writer_token", Kind.TEXT),
    ),
)
"""PostgreSQL only, one row: whose tables these are, in which version, and which writer may write."""

MIGRATIONS: Final[tuple[tuple[Table, ...], ...]] = ((JOURNAL,), (SNAPSHOTS,))
"""What each version adds, the first one first. What stands here is never changed: a new version goes behind it."""

VERSION: Final = len(MIGRATIONS)


def tables_of(version: int) -> tuple[Table, ...]:
    """Return every table of a version."""
    return tuple(table for added in MIGRATIONS[:version] for table in added)
