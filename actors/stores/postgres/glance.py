"""A look at a journal in PostgreSQL that cannot write and needs no lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import attrs

from actors.stores.postgres import schema
from actors.stores.postgres.link import DatabaseLost, Link, connect
from helm.contracts.errors import Invalid
from helm.database import Database

PAGE: Final = "SELECT seq, body FROM journal WHERE seq >= %s ORDER BY seq LIMIT %s"

SHORT_PAGE: Final = """
    SELECT seq, body FROM (
        SELECT seq, body, sum(octet_length(body)) OVER (ORDER BY seq) - octet_length(body) AS before
        FROM (SELECT seq, body FROM journal WHERE seq >= %s ORDER BY seq LIMIT %s) AS page
    ) AS counted WHERE before <= %s ORDER BY seq"""
"""Rows up to the one that makes it more than there is room for; the lengths are known without reading them."""


@attrs.define(eq=False)
class PostgresGlance:
    """One connection that cannot write."""

    _database: Database
    _link: Link

    def head(self) -> int:
        """Return the number of the last durable row, 0 where there is none. Raises Invalid."""
        with readable(self._database):
            [(head,)] = self._link.run("SELECT coalesce(max(seq), 0) FROM journal")
            return int(head)

    def page(self, first: int, limit: int) -> list[tuple[int, bytes]]:
        """Return at most `limit` rows from number `first` on. Raises Invalid."""
        with readable(self._database):
            return [(seq, body) for seq, body in self._link.read(PAGE, first, limit)]


@attrs.define(eq=False)
class PostgresSource:
    """One connection of the kernel's own reader."""

    _link: Link

    @classmethod
    def open(cls, database: Database) -> PostgresSource:
        """Connect. Raises DatabaseLost, Invalid."""
        return cls(connect_to_read(database, "reader"))

    def short_page(self, first: int, limit: int, room: int) -> list[tuple[int, bytes]]:
        """Return at most `limit` rows from number `first` on, none behind the one that is more than `room`."""
        return [(seq, body) for seq, body in self._link.read(SHORT_PAGE, first, limit, room)]

    def close(self) -> None:
        """Close the connection."""
        self._link.close()


@contextmanager
def postgres_glance(database: Database) -> Iterator[PostgresGlance]:
    """Open the journal for reading. Raises Invalid where there is none, or where it is something else."""
    with readable(database):
        link = connect_to_read(database, "glance")
    try:
        yield PostgresGlance(database, link)
    finally:
        link.close()


def connect_to_read(database: Database, what: str) -> Link:
    """Open a connection that can write nothing. Raises DatabaseLost, Invalid."""
    link = connect(database, what)
    try:
        link.run("SELECT set_config('default_transaction_read_only', 'on', false)")
        version = schema.version_of(link, str(database))
        if version == 0:
            raise Invalid("there is no journal yet", str(database), "`helm serve` begins one with its first start")
        schema.check_tables(link, str(database), version)
    except BaseException:
        link.close()
        raise
    return link


def has_journal(database: Database) -> bool:
    """Tell whether a journal was begun in the database. Raises Invalid."""
    with readable(database):
        link = connect(database, "glance")
        try:
            return schema.version_of(link, str(database)) > 0
        finally:
            link.close()


@contextmanager
def readable(database: Database) -> Iterator[None]:
    """Name the database, whatever is wrong with it. Raises Invalid."""
    try:
        yield
    except DatabaseLost as problem:
        raise Invalid(f"the journal cannot be read: {problem}", str(database)) from problem
