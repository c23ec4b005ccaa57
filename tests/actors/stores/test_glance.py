"""Whoever only looks at a journal sees what is durable, and changes nothing."""

from pathlib import Path

import apsw
import pytest

from actors.stores.book import Place, opened
from actors.stores.glance import connect_to_read, glance
from helm.contracts.errors import Invalid


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(path=tmp_path / "journal.db", free_space_reserve=0)


def test_a_look_beside_the_writer_sees_each_row_once_it_is_durable(place: Place) -> None:
    with opened(place) as book, glance(place.path) as journal:
        assert (journal.head(), journal.page(1, 9)) == (0, [])
        book.append((b"a", b"b"))
        assert (journal.head(), journal.page(2, 9)) == (2, [(2, b"b")])


def test_a_look_at_what_a_dead_writer_left_in_its_log(place: Place) -> None:
    with opened(place) as book:
        book.append((b"a",))
        book.condemn()
    assert place.path.with_name("journal.db-wal").stat().st_size > 0
    with glance(place.path) as journal:
        assert journal.page(1, 9) == [(1, b"a")]


def test_a_look_begins_no_journal(place: Place) -> None:
    with pytest.raises(Invalid, match="no journal yet"), glance(place.path):
        pass
    assert list(place.path.parent.iterdir()) == []


def test_a_look_cannot_write(place: Place) -> None:
    with opened(place) as book:
        book.append((b"a",))
        connection = connect_to_read(place.path)
        with pytest.raises(apsw.ReadOnlyError):
            connection.execute("DELETE FROM journal")
        connection.close()


def test_a_look_at_something_else_is_refused(place: Place) -> None:
    place.path.write_bytes(b"not a journal" * 1000)
    with pytest.raises(Invalid, match="not a database"), glance(place.path):
        pass
