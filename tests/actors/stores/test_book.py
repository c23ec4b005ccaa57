"""A file that is not the journal we left is refused before a row of it is believed."""

from pathlib import Path

import apsw
import pytest

from actors.stores.book import APPLICATION_ID, FORMAT, PAGE_BYTES, Place, opened
from helm.contracts.errors import Invalid
from tests.actors.stores.journals import nothing


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(path=tmp_path / "journal.db", free_space_reserve=0)


def _write(place: Place, *rows: bytes) -> None:
    with opened(place) as book:
        book.append(rows, nothing)


def _edit(place: Place, sql: str) -> None:
    connection = apsw.Connection(str(place.path))
    connection.execute(sql).fetchall()
    connection.close()


EDITS = {
    "an edited application id": ("PRAGMA application_id = 7", "not a HELM journal"),
    "a newer format": (f"PRAGMA user_version = {FORMAT + 1}", f"format {FORMAT + 1}"),
    "no format": ("PRAGMA user_version = 0", "format 0"),
    "a trigger": ("CREATE TRIGGER t AFTER INSERT ON journal BEGIN DELETE FROM journal; END", "changed"),
    "a view": ("CREATE VIEW v AS SELECT * FROM journal", "changed"),
    "a second table": ("CREATE TABLE extra(x)", "changed"),
    "a renamed column": ("ALTER TABLE journal RENAME COLUMN body TO text", "changed"),
    "no table": ("DROP TABLE journal", "changed"),
    "first rows gone": ("DELETE FROM journal WHERE seq < 3", "does not begin with row 1"),
}


@pytest.mark.parametrize(("sql", "what"), EDITS.values(), ids=EDITS)
def test_an_edited_journal_is_refused(place: Place, sql: str, what: str) -> None:
    _write(place, b"a", b"b", b"c")
    _edit(place, sql)
    with pytest.raises(Invalid, match=what), opened(place):
        pass


def test_the_database_of_another_program_is_left_as_it_is(place: Place) -> None:
    _edit(place, "CREATE TABLE contacts(name); INSERT INTO contacts VALUES('Ada')")
    before = place.path.read_bytes()
    with pytest.raises(Invalid, match="not a HELM journal"), opened(place):
        pass
    assert place.path.read_bytes() == before


def test_what_is_no_database_is_left_as_it_is(place: Place) -> None:
    place.path.write_bytes(b"not a journal" * 1000)
    with pytest.raises(Invalid, match="not a database"), opened(place):
        pass
    assert place.path.read_bytes() == b"not a journal" * 1000


def test_a_journal_that_is_cut_short_is_refused(place: Place) -> None:
    _write(place, *[b"x" * 2000] * 100)
    place.path.write_bytes(place.path.read_bytes()[: 3 * PAGE_BYTES])
    with pytest.raises(Invalid, match="malformed"), opened(place):
        pass


def test_a_log_without_its_journal_is_not_thrown_away(place: Place) -> None:
    log = place.path.with_name("journal.db-wal")
    log.write_bytes(b"the last rows")
    with pytest.raises(Invalid, match="a journal that is gone"), opened(place):
        pass
    assert log.read_bytes() == b"the last rows"


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(Invalid),
        opened(Place(path=tmp_path / "missing" / "journal.db", free_space_reserve=0)),
    ):
        pass


def test_a_journal_that_is_a_link_is_refused(place: Place, tmp_path: Path) -> None:
    place.path.symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(Invalid), opened(place):
        pass
    assert not (tmp_path / "elsewhere.db").exists()


def test_a_row_that_stands_already_is_not_written_over(place: Place) -> None:
    with opened(place) as book:
        book.append((b"a", b"b"), nothing)
        book.head = 1
        with pytest.raises(apsw.ConstraintError):
            book.append((b"forged", b"c"), nothing)
        assert book.connection.execute("SELECT body FROM journal").fetchall() == [(b"a",), (b"b",)]


def test_a_reader_of_long_standing_holds_up_no_append(place: Place) -> None:
    with opened(place) as book:
        book.append((b"a",), nothing)
        bystander = apsw.Connection(str(place.path), flags=apsw.SQLITE_OPEN_READONLY)
        old = bystander.execute("SELECT body FROM journal")
        for _ in range(100):
            book.append((b"x" * PAGE_BYTES,) * 4, nothing)
            book.tidy()
        assert [body for (body,) in old] == [b"a"]
        bystander.close()


def test_every_setting_is_in_force(place: Place) -> None:
    names = ("synchronous", "fullfsync", "wal_autocheckpoint", "trusted_schema", "cache_size")
    with opened(place) as book:
        found = {name: book.connection.execute(f"PRAGMA {name}").get for name in names}
    assert found == dict(zip(names, (2, 1, 0, 0, -8192), strict=True))


def test_the_file_says_whose_it_is(place: Place) -> None:
    with opened(place):
        pass
    assert place.path.read_bytes()[68:72] == APPLICATION_ID.to_bytes(4, "big") == b"HELM"


def test_the_bundled_sqlite_does_not_lose_a_log_that_is_reset() -> None:
    assert tuple(map(int, apsw.sqlite_lib_version().split("."))) >= (3, 51, 3)
