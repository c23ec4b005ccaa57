"""The journal on disk: one SQLite table of numbered rows, known by its mark before it is believed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apsw
import attrs

from actors.stores import lock
from actors.stores.contract import MIGRATIONS, VERSION, tables_of
from actors.stores.ground import Ground
from actors.stores.snapshot import Snapshot
from helm.contracts.errors import Invalid

APPLICATION_ID = 0x48454C4D  # "HELM"
FORMAT = VERSION
PAGE_BYTES = 16384

INSERT = "INSERT INTO journal(seq, body) SELECT ?1 + rowid, value FROM carray(?2)"
"""One statement, one step, one transaction for a whole batch: each step hands the interpreter's lock over and
fights to get it back. The numbers are given, not found: a row that stands already fails the batch."""

SNAPSHOTS = "SELECT * FROM boundary_surface_snapshots ORDER BY surface"
FORGET = "DELETE FROM boundary_surface_snapshots"
KEEP = "INSERT INTO boundary_surface_snapshots VALUES(?1, ?2, ?3, ?4, ?5)"

CHECKPOINT_PAGES = 128
"""2 MiB of log between two checkpoints. A checkpoint costs the same per row at any size; so small a one is over
while the loop makes the next batch, and the log stays a short file that is written over and over."""

LOG_BYTES_KEPT = 16 * 1024 * 1024
"""What a long log, left by a slow reader, is cut back to."""

BUSY_MS = 10_000
"""How long the start waits for another process to end its read, before it refuses."""

TUNING = f"""
    PRAGMA synchronous = FULL;  -- with fullfsync: a commit is on the disk, not in the drive's cache
    PRAGMA fullfsync = ON;
    PRAGMA checkpoint_fullfsync = ON;
    PRAGMA wal_autocheckpoint = 0;
    PRAGMA journal_size_limit = {LOG_BYTES_KEPT};
    PRAGMA mmap_size = 0;
    PRAGMA cell_size_check = ON;
    PRAGMA trusted_schema = OFF;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -8192;
"""


@attrs.frozen(kw_only=True)
class Place:
    """Where a journal lies, how much room must stay free, how much it may take; `vfs` as SQLite knows it."""

    path: Path
    free_space_reserve: int = attrs.field(validator=attrs.validators.ge(0))
    max_bytes: int | None = None
    vfs: str = ""


@attrs.define
class Book:
    """The open journal in the hands of its only writer, one thread."""

    connection: apsw.Connection
    ground: Ground
    head: int
    max_pages: int | None
    _log_pages: int = attrs.field(default=0, init=False)

    def append(self, rows: tuple[bytes, ...], begin: Callable[[], None]) -> int:
        """Make the rows durable, return the number of the first. An apsw.Error leaves the outcome unknown."""
        begin()
        self.connection.execute(INSERT, (self.head, apsw.carray(rows)))
        first = self.head + 1
        self.head += len(rows)
        self._log_pages += sum(map(len, rows)) // PAGE_BYTES + 2
        return first

    def tidy(self) -> None:
        """What is due between two batches: empty the log, look at the disk. Raises apsw.Error, OSError."""
        if self._log_pages >= CHECKPOINT_PAGES:
            self._log_pages = 0  # a reader in the way costs one more round of log
            run(self.connection, "PRAGMA wal_checkpoint(PASSIVE)")
        if self.ground.is_due():
            self.look()

    def work_ahead(self) -> bool:
        """Nothing: SQLite finds room for itself."""
        return False

    def snapshots(self) -> list[Snapshot]:
        """Return what was kept of the surfaces. Raises apsw.Error."""
        return [Snapshot(*row) for row in run(self.connection, SNAPSHOTS)]

    def keep(self, snapshots: Sequence[Snapshot]) -> None:
        """Put these in the place of all that was kept. Raises apsw.Error."""
        with self.connection:
            run(self.connection, FORGET)
            self.connection.executemany(KEEP, [attrs.astuple(one) for one in snapshots])
        self._log_pages = CHECKPOINT_PAGES

    def look(self) -> None:
        """Find out how much room is left."""
        room = None
        if self.max_pages is not None:
            room = (self.max_pages - int(one(self.connection, "PRAGMA page_count"))) * PAGE_BYTES
        self.ground.check(room)

    def condemn(self) -> None:
        """Leave the log as it is: what a failed append left there is for a fresh process to find."""
        self.connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)


@contextmanager
def opened(place: Place) -> Iterator[Book]:
    """Take the lock, open or create the journal, fold in the log of the last run. Raises Invalid."""
    descriptor = lock.take(lock.beside(place.path))
    try:
        connection = connect(place)
        try:
            yield read_in(connection, place)
        finally:
            with suppress(apsw.Error):  # every row told of is durable in the log: a failed tidying loses none
                connection.close(force=True)
    finally:
        os.close(descriptor)


def connect(place: Place) -> apsw.Connection:
    log = place.path.with_name(place.path.name + "-wal")
    try:
        # Made here, not by SQLite: arguments of calls are for the eyes of the journal's owner.
        descriptor = os.open(place.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        is_empty = os.fstat(descriptor).st_size == 0
        os.close(descriptor)
        if is_empty and log.exists():  # SQLite would delete it, and the last rows of a journal with it
            hint = "put the journal back beside it"
            raise Invalid("the log of a journal that is gone", str(log), hint)
        return apsw.Connection(str(place.path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=place.vfs or None)
    except (OSError, apsw.Error) as error:
        raise Invalid(f"the journal cannot be opened: {error}", str(place.path)) from error


def read_in(connection: apsw.Connection, place: Place) -> Book:
    """Check the mark, fold in the log, then read the head. Raises Invalid."""
    where = str(place.path)
    try:
        make_ready(connection, where)
        ground = Ground(place.path, place.free_space_reserve)
        book = Book(connection, ground, head_of(connection, where), quota(connection, place))
        book.look()
    except (OSError, apsw.Error) as error:
        raise Invalid(f"the journal cannot be read: {error}", where) from error
    return book


def make_ready(connection: apsw.Connection, where: str) -> None:
    """Check, or write, the mark; then fold in the log. Nothing is read from the table before that is done."""
    connection.set_busy_timeout(BUSY_MS)
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    if one(connection, "PRAGMA page_count") == 0:
        create(connection)
    migrate(connection, check_mark(connection, where))
    if one(connection, "PRAGMA journal_mode = WAL") != "wal":
        hint = "keep the data directory on a local disk"
        raise Invalid("no write-ahead log on this file system", where, hint)
    run(connection, TUNING)
    [(busy, _, _)] = run(connection, "PRAGMA wal_checkpoint(TRUNCATE)")
    if busy:
        raise Invalid("the log of the last run cannot be folded in", where, "end whatever reads this journal")


def create(connection: apsw.Connection) -> None:
    run(connection, f"PRAGMA page_size = {PAGE_BYTES}")
    with connection:
        run(connection, f"PRAGMA application_id = {APPLICATION_ID}")
        add_tables(connection, 0)


def migrate(connection: apsw.Connection, found: int) -> None:
    """Bring tables of format `found` to this one, in one step."""
    if found < FORMAT:
        with connection:
            add_tables(connection, found)


def add_tables(connection: apsw.Connection, found: int) -> None:
    for added in MIGRATIONS[found:]:
        for table in added:
            run(connection, table.in_sqlite())
    run(connection, f"PRAGMA user_version = {FORMAT}")


def check_mark(connection: apsw.Connection, where: str) -> int:
    """Return the format; raise Invalid unless the file is a journal of one that is known, nothing beside its tables."""
    if one(connection, "PRAGMA application_id") != APPLICATION_ID:
        raise Invalid("not a HELM journal", where, "restore the journal, or name another data directory")
    found = one(connection, "PRAGMA user_version")
    if not 1 <= found <= FORMAT:
        raise Invalid(f"a journal of format {found}", where, f"this HELM reads and writes format {FORMAT}")
    written = [(table.in_sqlite(),) for table in tables_of(found)]
    if run(connection, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid") != written:
        raise Invalid("the journal's tables were changed", where, "restore the journal from a copy")
    return int(found)


def quota(connection: apsw.Connection, place: Place) -> int | None:
    """Hold the file to its largest size; return that in pages."""
    if place.max_bytes is None:
        return None
    return int(one(connection, f"PRAGMA max_page_count = {place.max_bytes // PAGE_BYTES}"))


def head_of(connection: apsw.Connection, where: str) -> int:
    """Return the number of the last row. Raises Invalid where the first rows are gone."""
    head = int(one(connection, "SELECT coalesce(max(seq), 0) FROM journal"))
    if head and one(connection, "SELECT min(seq) FROM journal") != 1:
        raise Invalid("the journal does not begin with row 1", where, "restore the journal from a copy")
    return head


def one(connection: apsw.Connection, sql: str) -> Any:
    """Return the single value of a statement."""
    [(value,)] = run(connection, sql)
    return value


def run(connection: apsw.Connection, sql: str) -> list[tuple[Any, ...]]:
    """Run every statement, to its end: an answer that nobody reads would stop the ones behind it."""
    return connection.execute(sql).fetchall()
