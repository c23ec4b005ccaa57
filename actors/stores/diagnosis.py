"""What a store says of itself to whoever examines it: which make, which version of tables, how durable, who writes."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import attrs

from actors.stores.contract import VERSION
from actors.stores.postgres import fence, schema
from actors.stores.postgres.link import connect
from actors.stores.segments.frame import FORMAT
from actors.stores.sqlite_glance import connect_to_read, readable, sqlite_version
from helm.contracts.errors import Invalid
from helm.database import Database

LAX: Final = "off"


@attrs.frozen(kw_only=True)
class Diagnosis:
    """A store as it was found. `holder` is who writes a database, "" where nobody does; of files their lock says it."""

    make: str
    version: int
    """Of its tables or files; `newest` is the one that this HELM makes."""
    newest: int
    durable: str
    """How a commit ends on a disk."""
    doubts: tuple[str, ...] = ()
    """What speaks against that."""
    holder: str = ""
    size: int = 0
    """Bytes that the journal takes."""


def diagnose(at: Path | Database) -> Diagnosis:
    """Look at a store without disturbing its writer. Raises Invalid where it cannot be used."""
    if isinstance(at, Database):
        return of_server(at)
    if at.is_dir():
        size = sum(file.stat().st_size for file in at.iterdir())
        how = "each frame written past the page cache, or synced (O_DSYNC)"
        return Diagnosis(make="segments", version=FORMAT, newest=FORMAT, durable=how, size=size)
    return of_file(at)


def of_file(path: Path) -> Diagnosis:
    """Look at a SQLite file."""
    with readable(path):
        connection = connect_to_read(path)
        try:
            version = int(connection.execute("PRAGMA user_version").get)
            mode = str(connection.execute("PRAGMA journal_mode").get)
        finally:
            connection.close()
    return Diagnosis(
        make=f"SQLite {sqlite_version()}",
        version=version,
        newest=VERSION,
        durable=f"journal_mode {mode}, each commit with synchronous=FULL",
        doubts=() if mode == "wal" else (f"journal_mode is {mode}, not wal",),
        size=path.stat().st_size,
    )


def of_server(database: Database) -> Diagnosis:
    """Look at a PostgreSQL server and the tables there."""
    where = str(database)
    try:
        link = connect(database, "doctor")
        try:
            version = schema.version_of(link, where)
            schema.check_server(link, where)
            default = schema.setting(link, "synchronous_commit")
            standbys = schema.setting(link, "synchronous_standby_names")
            [(size,)] = link.run("SELECT coalesce(pg_total_relation_size(to_regclass('journal')), 0)")
            found = Diagnosis(
                make=f"PostgreSQL {schema.setting(link, 'server_version')} at {database}",
                version=version,
                newest=VERSION,
                durable="fsync and full_page_writes are on, the writer commits with synchronous_commit on",
                doubts=doubts_of(default, standbys, standby=bool(link.run("SELECT pg_is_in_recovery()")[0][0])),
                holder=fence.holder_of(link)[0],
                size=int(size),
            )
        finally:
            link.close()
    except OSError as problem:
        raise Invalid(f"the store cannot be examined: {problem}", where) from problem
    return found


def doubts_of(default: str, standbys: str, *, standby: bool) -> tuple[str, ...]:
    """Return what an operator should know of a server that HELM can live with."""
    found = []
    if default == LAX:
        found.append("the server's default is synchronous_commit = off: HELM's sessions set it on, others lose commits")
    if standby:
        found.append("this is a standby: no kernel can write here")
    if standbys and default == "local":
        found.append("synchronous_commit = local: no standby is waited for by others")
    return tuple(found)
