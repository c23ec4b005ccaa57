"""A database that is not the journal we left, or no longer ours to write, is neither believed nor written."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

from actors.stores import contract
from actors.stores.ground import Ground
from actors.stores.port import JournalFailed
from actors.stores.postgres import book as postgres_book
from actors.stores.postgres import fence
from actors.stores.postgres.book import Place, opened
from actors.stores.postgres.link import DatabaseLost, connect
from actors.stores.postgres.schema import setting
from helm.contracts.errors import Invalid
from helm.database import Database
from tests.actors.stores.journals import POSTGRES, nothing, rows_of
from tests.counterparts import postgres
from tests.counterparts.postgres import ask, database_of

pytestmark = pytest.mark.skipif(not postgres.is_here(), reason=postgres.HOW)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A name that has a schema of its own."""
    return tmp_path / "journal.postgresql"


@pytest.fixture
def place(path: Path) -> Place:
    return Place(database=database_of(path), ground=Ground(path.parent, 0))


def write(place: Place, *rows: bytes) -> None:
    with opened(place) as book:
        book.append(rows, nothing)


def with_option(database: Database, option: str) -> Database:
    """Return the database as a session sees it that sets an option of its own."""
    return Database(f"{database.url}%20-c{option.replace('=', '%3D')}")


EDITS = {
    "the tables of another program": ("UPDATE helm_store SET mark = 'CRM'", "not a HELM journal"),
    "a newer version": ("UPDATE helm_store SET version = 99", "tables of version 99"),
    "no version": ("UPDATE helm_store SET version = 0", "tables of version 0"),
    "no mark": ("DELETE FROM helm_store", "not a HELM journal"),
    "a rule that swallows rows": ("CREATE RULE r AS ON INSERT TO journal DO INSTEAD NOTHING", "as HELM made it"),
    "rows that a crash forgets": ("ALTER TABLE journal SET UNLOGGED", "as HELM made it"),
    "rows that are hidden": ("ALTER TABLE journal ENABLE ROW LEVEL SECURITY", "as HELM made it"),
    "rows of a child": ("CREATE TABLE more() INHERITS (journal)", "as HELM made it"),
    "numbers that may repeat": ("ALTER TABLE journal DROP CONSTRAINT journal_pkey", "as HELM made it"),
    "a renamed column": ("ALTER TABLE journal RENAME COLUMN body TO text", "as HELM made it"),
    "another type": ("ALTER TABLE journal ALTER COLUMN seq TYPE numeric", "as HELM made it"),
    "no journal": ("DROP TABLE journal", "as HELM made it"),
    "first rows gone": ("DELETE FROM journal WHERE seq < 3", "does not begin with row 1"),
    "a trigger": (
        "CREATE TRIGGER t BEFORE UPDATE ON journal FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "as HELM made it",
    ),
}


@pytest.mark.parametrize(("sql", "what"), EDITS.values(), ids=EDITS)
def test_edited_tables_are_refused(place: Place, sql: str, what: str) -> None:
    write(place, b"a", b"b", b"c")
    ask(place.database, sql)
    with pytest.raises(Invalid, match=what), opened(place):
        pass


def test_tables_that_are_not_ours_are_left_as_they_are(place: Place) -> None:
    ask(place.database, "CREATE TABLE journal(entry text); INSERT INTO journal VALUES('dear diary')")
    with pytest.raises(Invalid, match="not HELM's: journal"), opened(place):
        pass
    assert ask(place.database, "SELECT * FROM journal") == [("dear diary",)]


def leave_version_one(place: Place) -> None:
    """Make the tables as the first version had them."""
    ask(place.database, contract.STORE.in_postgres())
    ask(place.database, "INSERT INTO helm_store VALUES('HELM', 1, 7, 'old')")
    ask(place.database, contract.JOURNAL.in_postgres())
    ask(place.database, "INSERT INTO journal VALUES(1, 'a')")


def test_older_tables_are_brought_up_to_date_with_their_rows(place: Place) -> None:
    leave_version_one(place)
    with opened(place) as book:
        assert (book.head, book.writer.epoch, book.snapshots()) == (1, 8, [])
    assert ask(place.database, "SELECT version FROM helm_store") == [(contract.VERSION,)]


def test_a_migration_that_cannot_end_changes_nothing(place: Place) -> None:
    leave_version_one(place)
    ask(place.database, "CREATE TABLE boundary_surface_snapshots(x int)")
    with pytest.raises(Invalid, match="already exists"), opened(place):
        pass
    assert ask(place.database, "SELECT version, writer_epoch FROM helm_store") == [(1, 7)]


def test_both_databases_have_the_same_tables(place: Place) -> None:
    write(place, b"a")
    columns = "SELECT table_name::text, column_name::text FROM information_schema.columns"
    written = {(table.name, column) for table in contract.tables_of(contract.VERSION) for column, _ in table.columns}
    assert (
        set(ask(place.database, f"{columns} WHERE table_schema = current_schema()"))
        - {("helm_store", name) for name, _ in contract.STORE.columns}
        == written
    )


class TestOneWriter:
    """Whoever is not the writer any more writes nothing, whatever its connection says."""

    def test_a_writer_whose_token_is_gone_writes_nothing(self, place: Place) -> None:
        with opened(place) as book:
            book.append((b"a",), nothing)
            ask(place.database, "UPDATE helm_store SET writer_epoch = writer_epoch + 1, writer_token = 'next'")
            with pytest.raises(DatabaseLost, match="taken this journal over"):
                book.append((b"b",), nothing)
        assert ask(place.database, "SELECT body FROM journal") == [(b"a",)]

    def test_a_writer_that_idles_notices_that_it_is_none(self, place: Place) -> None:
        with opened(place) as book:
            book.tidy()
            ask(place.database, "UPDATE helm_store SET writer_token = 'next'")
            book._ping_at = 0.0
            with pytest.raises(DatabaseLost, match="taken this journal over"):
                book.tidy()

    def test_a_writer_that_idles_notices_that_its_session_was_ended(self, place: Place) -> None:
        with opened(place) as book:
            end_sessions(place.database)
            with pytest.raises(DatabaseLost):
                while True:  # until the farewell is here
                    book.link.check_alive()

    async def test_a_journal_whose_session_was_ended_takes_nothing_more(self, path: Path) -> None:
        async with POSTGRES.journal_at(path) as journal:
            await journal.append([b"a"])
            end_sessions(database_of(path))
            for _ in range(2):
                with pytest.raises(JournalFailed):
                    await journal.append([b"never"])
        async with POSTGRES.journal_at(path) as journal:
            assert await rows_of(journal) == [b"a"]
            assert await journal.append([b"b"]) == 2

    def test_a_row_that_stands_already_is_not_written_over(self, place: Place) -> None:
        with opened(place) as book:
            book.append((b"a", b"b"), nothing)
            book.head = 1
            with pytest.raises(DatabaseLost, match="23505"):
                book.append((b"forged", b"c"), nothing)
        assert ask(place.database, "SELECT body FROM journal ORDER BY seq") == [(b"a",), (b"b",)]

    def test_each_writer_has_a_number_above_all_before(self, place: Place) -> None:
        epochs = []
        for _ in range(3):
            with opened(place) as book:
                epochs.append(book.writer.epoch)
        assert epochs == [1, 2, 3]

    def test_a_lock_that_another_machine_holds_is_not_waited_for(self, place: Place) -> None:
        other = connect(place.database, "kernel")
        other.run("SELECT set_config('application_name', 'helm kernel 1 on elsewhere', false)")
        other.run(fence.TAKE)
        with pytest.raises(Invalid) as refused, opened(place):
            pass
        other.close()
        assert "process 1 holds it, on elsewhere" in str(refused.value.hint)

    def test_a_session_of_ours_that_is_on_its_way_out_is_waited_for(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        leaving = connect(place.database, "kernel")
        leaving.run(fence.TAKE)
        monkeypatch.setattr(fence, "sleep", lambda _: leaving.close())
        with opened(place) as book:
            assert book.writer.epoch == 1

    def test_a_second_kernel_of_this_process_is_not_waited_for(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fence, "sleep", pytest.fail)
        with opened(place), pytest.raises(Invalid, match="another kernel writes"), opened(place):
            pass

    def test_a_lock_that_cannot_be_asked_for_begins_no_kernel(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(fence, "TAKE", "SELECT 1 / 0")
        with pytest.raises(Invalid, match="cannot be read"), opened(place):
            pass

    def test_a_session_that_failed_is_none_that_has_a_lock(self, place: Place) -> None:
        with opened(place) as book:
            book.condemn()
            assert fence.HELD
        assert not fence.HELD


def end_sessions(database: Database) -> None:
    """End what a kernel has open, as an operator may."""
    ours = f"application_name LIKE 'helm kernel {os.getpid()} %'"
    ask(database, f"SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE {ours}")


class TestDurability:
    """A commit that was acknowledged is on a disk, or the kernel does not begin."""

    def test_a_session_commits_to_the_disk_whatever_the_default_is(self, place: Place) -> None:
        lax = with_option(place.database, "synchronous_commit=off")
        with opened(attrs.evolve(place, database=lax)) as book:
            assert setting(book.link, "synchronous_commit") == "on"

    def test_a_commit_that_comes_with_a_warning_is_none(self, place: Place) -> None:
        with opened(place) as book:
            ask(
                place.database,
                "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS "
                "$$BEGIN RAISE WARNING 'canceling wait for synchronous replication'; RETURN NEW; END$$;"
                "CREATE TRIGGER t BEFORE INSERT ON journal FOR EACH ROW EXECUTE FUNCTION f()",
            )
            with pytest.raises(DatabaseLost, match="canceling wait"):
                book.append((b"a",), nothing)
            assert book.head == 0

    def test_a_session_that_may_only_read_begins_no_kernel(self, place: Place) -> None:
        read_only = with_option(place.database, "default_transaction_read_only=on")
        with pytest.raises(Invalid, match="cannot be reached"), opened(attrs.evolve(place, database=read_only)):
            pass

    def test_a_lock_in_the_way_ends_the_writer_instead_of_holding_every_call(self, place: Place) -> None:
        with opened(place) as book, blocked(place.database):
            book.link.run("SELECT set_config('lock_timeout', '10', false)")
            with pytest.raises(DatabaseLost, match="55P03"):
                book.append((b"a",), nothing)

    def test_a_statement_that_takes_too_long_ends_the_writer(self, place: Place) -> None:
        with opened(place) as book, blocked(place.database):
            book.link.run("SELECT set_config('statement_timeout', '10', false)")
            with pytest.raises(DatabaseLost, match="57014"):
                book.append((b"a",), nothing)

    def test_a_batch_in_several_statements_is_there_whole_or_not_at_all(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(postgres_book, "AT_ONCE_BYTES", 4)
        with opened(place) as book:
            assert book.append((b"aaa", b"bb", b"cc", b"", b"d"), nothing) == 1
            book.head = 3  # so that the third of these stands already
            with pytest.raises(DatabaseLost):
                book.append((b"eee", b"fff", b"ggg"), nothing)
        assert ask(place.database, "SELECT seq, body FROM journal ORDER BY seq") == list(
            enumerate((b"aaa", b"bb", b"cc", b"", b"d"), start=1)
        )


class blocked:  # noqa: N801 (it reads as a word)
    """Another session that holds the row which every commit looks at."""

    def __init__(self, database: Database) -> None:
        self.link = connect(database, "blocker")

    def __enter__(self) -> None:
        self.link.run("BEGIN")
        self.link.run("SELECT * FROM helm_store FOR UPDATE")

    def __exit__(self, *_: object) -> None:
        self.link.close()


class TestTheUrl:
    """A URL may hold a password: nobody is shown one."""

    def test_a_password_is_never_shown(self, tmp_path: Path) -> None:
        database = Database("postgresql://helm:s3cr%40t@127.0.0.1:1/helm?sslpassword=hush")
        assert database.has_password
        with pytest.raises(Invalid) as refused:
            connect(database, "kernel")
        told = f"{database} {database!r} {refused.value} {refused.value.hint}"
        assert not any(word in told for word in ("s3cr", "hush", "helm@"))
        assert refused.value.__cause__ is None

    def test_what_the_library_repeats_of_a_malformed_url_is_taken_out(self) -> None:
        with pytest.raises(Invalid) as refused:
            connect(Database("postgresql://helm:s3cret%zz@127.0.0.1:1/helm"), "kernel")
        assert "s3cret" not in str(refused.value)

    @pytest.mark.parametrize(
        "url", ["mysql://h/d", "sqlite:///x", "h/d", "postgresql://host", "postgresql://[h/d", "postgresql://h/d\n"]
    )
    def test_what_names_no_database_is_refused(self, url: str) -> None:
        with pytest.raises(Invalid, match="DATABASE_URL"):
            Database(url)

    def test_without_the_library_it_is_refused_with_the_way_to_get_it(
        self, place: Place, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "psycopg", None)
        with pytest.raises(Invalid) as refused:
            connect(place.database, "kernel")
        assert "helm-kernel[postgres]" in str(refused.value.hint)


def test_a_function_of_somebody_else_does_not_write_the_journal(place: Place) -> None:
    """CVE-2018-1058: what may be made in the schema is the better match for a name that is not given in full."""
    write(place, b"a")
    ask(
        place.database,
        "CREATE FUNCTION unnest(rows bytea[]) RETURNS SETOF bytea LANGUAGE sql AS $$ SELECT 'forged'::bytea $$",
    )
    write(place, b"b")
    assert ask(place.database, "SELECT body FROM journal ORDER BY seq") == [(b"a",), (b"b",)]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://helm:hu/sh@db/helm",
        "postgresql://helm:hush/helm",
        "postgresql://helm:h@db/hu@sh",
        "postgresql://db:54,helm:hush/d",
    ],
)
def test_a_password_that_is_not_escaped_is_not_shown_as_a_host(url: str) -> None:
    with pytest.raises(Invalid, match="no host and port") as refused:
        Database(url)
    assert not any(word in str(refused.value) for word in ("hu/", "hush", "sh@", "hu@"))


@pytest.mark.parametrize("hosts", ["", "db", "db:5432", "one:1,two:2", "one,two:2", "[::1]:5432", "%2Frun%2Fpg", "db:"])
def test_hosts_as_libpq_takes_them_are_named(hosts: str) -> None:
    assert Database(f"postgresql://helm:s%40t@{hosts}/helm").has_password


@attrs.define
class SlowFarewell:
    """A connection whose end its server has not heard of yet."""

    connection: Any

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    def close(self) -> None:
        """Say goodbye, but not yet."""


def test_whoever_opens_the_journal_right_behind_its_last_writer_gets_it(place: Place) -> None:
    with opened(place) as book:
        book.append((b"1",), nothing)
        book.link._connection = farewell = SlowFarewell(book.link._connection)
    try:
        with opened(place) as book:
            assert book.append((b"2",), nothing) == 2
    finally:
        farewell.connection.close()


@pytest.mark.parametrize("pid", ["9" * 30, "0", "-1", "٣"])
def test_whoever_names_a_session_like_a_kernel_of_an_odd_number_is_believed_to_live(pid: str) -> None:
    assert not fence.is_gone(f"helm kernel {pid} on {socket.gethostname()} (session 5)", 5)
