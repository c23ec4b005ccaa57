"""The snapshots in a database, read without its writer's lock."""

from __future__ import annotations

from pathlib import Path

from actors.stores import book
from actors.stores.contract import SNAPSHOTS
from actors.stores.postgres.book import SNAPSHOTS as IN_POSTGRES
from actors.stores.postgres.glance import connect_to_read as connect_to_server
from actors.stores.postgres.glance import readable as readable_server
from actors.stores.snapshot import Snapshot
from actors.stores.sqlite_glance import connect_to_read, readable
from helm.database import Database


def kept_at(at: Path | Database) -> list[Snapshot]:
    """Return what is kept beside the rows; none where the store keeps rows alone. Raises Invalid."""
    if isinstance(at, Database):
        return kept_by_server(at)
    if at.is_dir():
        return []
    with readable(at):
        connection = connect_to_read(at)
        try:
            tables = book.run(connection, "SELECT name FROM sqlite_schema")
            rows = book.run(connection, book.SNAPSHOTS) if (SNAPSHOTS.name,) in tables else []
        finally:
            connection.close()
    return [Snapshot(*row) for row in rows]


def kept_by_server(database: Database) -> list[Snapshot]:
    with readable_server(database):
        link = connect_to_server(database, "glance")
        try:
            [(there,)] = link.run("SELECT to_regclass(%s) IS NOT NULL", SNAPSHOTS.name)
            return [Snapshot(*row) for row in link.run(IN_POSTGRES)] if there else []
        finally:
            link.close()
