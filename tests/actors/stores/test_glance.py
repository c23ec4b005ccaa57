"""Whoever only looks at a journal sees what is durable, and changes nothing."""

from pathlib import Path

import apsw
import pytest

from actors.stores.sqlite_glance import connect_to_read
from helm.contracts.errors import Invalid
from tests.actors.stores.journals import SQLITE, Store, nothing


def test_a_look_beside_the_writer_sees_each_row_once_it_is_durable(store: Store, path: Path) -> None:
    with store.book(path) as book, store.glance(path) as journal:
        assert (journal.head(), journal.page(1, 9)) == (0, [])
        book.append((b"a", b"b"), nothing)
        assert (journal.head(), journal.page(2, 9)) == (2, [(2, b"b")])


def test_a_look_at_what_a_dead_writer_left_in_its_log(store: Store, path: Path) -> None:
    with store.book(path) as book:
        book.append((b"a",), nothing)
        book.condemn()
    with store.glance(path) as journal:
        assert journal.page(1, 9) == [(1, b"a")]


def test_a_look_begins_no_journal(store: Store, path: Path) -> None:
    with pytest.raises(Invalid, match="no journal yet"), store.glance(path):
        pass
    assert list(path.parent.iterdir()) == []


def test_a_look_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    with SQLITE.book(path) as book:
        book.append((b"a",), nothing)
        connection = connect_to_read(path)
        with pytest.raises(apsw.ReadOnlyError):
            connection.execute("DELETE FROM journal")
        connection.close()


def test_a_look_at_something_else_is_refused(file_store: Store, path: Path) -> None:
    path.write_bytes(b"not a journal" * 1000)
    with pytest.raises(Invalid, match="not a d"), file_store.glance(path):
        pass
