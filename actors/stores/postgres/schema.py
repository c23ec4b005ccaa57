"""The tables in PostgreSQL: made and brought up to date in one step, and looked at before a row of them is believed."""

from __future__ import annotations

from typing import Final

from actors.stores.contract import JOURNAL, MIGRATIONS, POSTGRES, STORE, VERSION, Table, tables_of
from actors.stores.postgres.link import Link
from helm.contracts.errors import Invalid

MARK: Final = "HELM"

OLDEST_SERVER: Final = 140_000
"""The first version that notices by itself that a client is gone (client_connection_check_interval)."""

NEEDED: Final = ("fsync", "full_page_writes")
"""Server settings without which a commit that was acknowledged may be gone after a power cut."""

TUNING: Final = (
    "ALTER TABLE journal ALTER COLUMN body SET STORAGE EXTERNAL",
    "ALTER TABLE journal SET (toast_tuple_target = 8160)",
)
"""Rows are canonical JSON of a few kilobytes: compressing each, or putting it into a second table, costs more."""

TABLES_HERE: Final = """
    SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema() AND c.relname = ANY(%s) ORDER BY 1"""

COLUMNS: Final = """
    SELECT a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema() AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""

SHAPE: Final = """
    SELECT c.relkind::text, c.relpersistence::text, c.relrowsecurity,
           EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid),
           EXISTS (SELECT FROM pg_rewrite r WHERE r.ev_class = c.oid),
           EXISTS (SELECT FROM pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent)),
           ARRAY(SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k WHERE k.conrelid = c.oid AND k.contype <> 'n')
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = current_schema() AND c.relname = %s"""

PLAIN: Final = ("r", "p", False, False, False, False)
"""An ordinary table that survives a crash, with no policy, trigger, rule or child that could change what is written."""


def make_ready(link: Link, where: str) -> None:
    """Make the tables, or bring them to this version, in one transaction. Raises Invalid, DatabaseLost.

    Whoever calls it holds the writer's lock.
    """
    check_server(link, where)
    with link.transaction():
        found = version_of(link, where)
        if found == 0:
            others = [name for (name,) in link.run(TABLES_HERE, [table.name for table in tables_of(VERSION)])]
            if others:
                hint = "name an empty database, or another schema of this one"
                raise Invalid(f"tables that are not HELM's: {', '.join(others)}", where, hint)
            link.run(STORE.in_postgres())
            link.run("INSERT INTO helm_store VALUES(%s, 0, 0, '')", MARK)
        if found < VERSION:
            migrate(link, found)
    check_tables(link, where)


def migrate(link: Link, found: int) -> None:
    """Bring tables of version `found` to this one. Call it within a transaction. Raises DatabaseLost."""
    for added in MIGRATIONS[found:]:
        for table in added:
            link.run(table.in_postgres())
            if table is JOURNAL:
                link.script(TUNING)
    link.run("UPDATE helm_store SET version = %s", VERSION)


def version_of(link: Link, where: str) -> int:
    """Return the version of the tables, 0 where there are none. Raises Invalid, DatabaseLost."""
    if not link.run(TABLES_HERE, [STORE.name]):
        return 0
    check_table(link, STORE, where)
    rows = link.run("SELECT mark, version FROM helm_store")
    if len(rows) != 1 or rows[0][0] != MARK:
        raise Invalid("not a HELM journal", where, "name another database")
    version: int = rows[0][1]
    if not 1 <= version <= VERSION:
        raise Invalid(f"tables of version {version}", where, f"this HELM reads and writes version {VERSION}")
    return version


def check_tables(link: Link, where: str, version: int = VERSION) -> None:
    """Raise Invalid unless every table of the version is there, as it was made."""
    for table in (STORE, *tables_of(version)):
        check_table(link, table, where)


def check_table(link: Link, table: Table, where: str) -> None:
    columns = [(name, str(kind), required) for name, kind, required in link.run(COLUMNS, table.name)]
    shape = link.run(SHAPE, table.name)
    key = f"PRIMARY KEY ({table.columns[0][0]})"
    if columns != [(name, POSTGRES[kind], True) for name, kind in table.columns] or shape != [(*PLAIN, [key])]:
        hint = "restore the journal from a backup, or name another database"
        raise Invalid(f"the table {table.name} is not as HELM made it", where, hint)


def check_server(link: Link, where: str) -> None:
    """Raise Invalid for a server that may forget what it acknowledged. Raises DatabaseLost."""
    if int(setting(link, "server_version_num")) < OLDEST_SERVER:
        what = f"PostgreSQL {setting(link, 'server_version')}"
        raise Invalid(what, where, f"HELM needs version {OLDEST_SERVER // 10_000} or newer")
    off = [name for name in NEEDED if setting(link, name) != "on"]
    if off:
        what = f"the server is set to forget at a power cut: {', '.join(f'{name} = off' for name in off)}"
        raise Invalid(what, where, "turn it on in postgresql.conf: a receipt must outlive its machine")


def setting(link: Link, name: str) -> str:
    """Return one setting of the server, as it is for us. Raises DatabaseLost."""
    [(value,)] = link.run("SELECT current_setting(%s)", name)
    return str(value)


def head_of(link: Link, where: str) -> int:
    """Return the number of the last row. Raises Invalid where the first rows are gone, DatabaseLost."""
    [(head, first)] = link.run("SELECT coalesce(max(seq), 0), coalesce(min(seq), 1) FROM journal")
    if first != 1:
        raise Invalid("the journal does not begin with row 1", where, "restore the journal from a backup")
    return int(head)
