"""Changing a journal's rows behind HELM's back, as one who knows how its store keeps them: no digest is left wrong."""

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import apsw
import attrs

from actors.stores.glance import glance
from actors.stores.segments.book import Place, opened
from tests.actors.stores.journals import nothing

Rows = dict[int, bytes]
"""The rows of a journal by their numbers."""


@contextmanager
def tampered(path: Path) -> Iterator[Rows]:
    """Let the body change the rows of the journal at `path`, whichever store keeps it."""
    with glance(path) as journal:
        rows = dict(journal.page(1, journal.head()))
    yield rows
    if path.is_dir():
        _write_segments(path, rows)
    else:
        _write_sqlite(path, rows)


def _write_sqlite(path: Path, rows: Rows) -> None:
    with closing(apsw.Connection(str(path))) as connection, connection:
        connection.execute("DELETE FROM journal")
        connection.executemany("INSERT INTO journal VALUES(?, ?)", sorted(rows.items()))


def _write_segments(path: Path, rows: Rows) -> None:
    shutil.rmtree(path)
    with opened(Place(path=path, free_space_reserve=0)) as book:
        for seq, body in sorted(rows.items()):
            if seq != book.head + 1:
                book.segment.last = attrs.evolve(book.segment.last, rows=0, first=seq)
            book.append((body,), nothing)
