"""Changing a journal's rows behind HELM's back, as one who knows how its store keeps them: no digest is left wrong."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw

from actors.stores.glance import glance
from actors.stores.segments.book import Place, opened
from helm.database import Database
from tests.actors.stores.journals import nothing
from tests.counterparts.postgres import ask

Rows = dict[int, bytes]
"""The rows of a journal by their numbers."""


@contextmanager
def tampered(at: Path | Database) -> Iterator[Rows]:
    """Let the body change the rows of the journal there, whichever store keeps it."""
    with glance(at) as journal:
        rows = dict(journal.page(1, journal.head()))
    yield rows
    if isinstance(at, Database):
        _write_postgres(at, rows)
    elif at.is_dir():
        _write_segments(at, rows)
    else:
        _write_sqlite(at, rows)


def _write_postgres(database: Database, rows: Rows) -> None:
    ask(database, "DELETE FROM journal")
    for seq, body in rows.items():
        ask(database, f"INSERT INTO journal VALUES({seq}, '\\x{body.hex()}')")


def _write_sqlite(path: Path, rows: Rows) -> None:
    with closing(apsw.Connection(str(path))) as connection, connection:
        connection.execute("DELETE FROM journal")
        connection.executemany("INSERT INTO journal VALUES(?, ?)", sorted(rows.items()))


def _write_segments(path: Path, rows: Rows) -> None:
    shutil.rmtree(path)
    with opened(Place(path=path, free_space_reserve=0)) as book:
        for seq, body in sorted(rows.items()):
            if seq != book.head + 1:
                book.segment.last = book.segment.last.but(rows=0, first=seq)
            book.append((body,), nothing)
