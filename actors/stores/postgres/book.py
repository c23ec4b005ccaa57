"""The journal in a PostgreSQL database, in the hands of its writer's thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from typing import Final

import attrs

from actors.stores.ground import Ground
from actors.stores.postgres import fence, schema
from actors.stores.postgres.link import DatabaseLost, Link, connect
from actors.stores.snapshot import Snapshot
from helm.contracts.errors import Invalid
from helm.database import Database

INSERT: Final = """
    WITH fence AS (SELECT FROM helm_store WHERE writer_token = %s FOR SHARE)
    INSERT INTO journal(seq, body)
    SELECT %s::bigint + place, body FROM fence, pg_catalog.unnest(%b::bytea[]) WITH ORDINALITY AS rows(body, place)"""
"""One statement, one round trip, one transaction for a whole batch. Where the token is another's, it writes nothing.

`unnest` is named in full: it takes any array, and a function of that name for bytea[] in a schema where others may make
functions would be the better match.
"""

AT_ONCE_BYTES: Final = 64 * 1024 * 1024
"""What one statement carries: the protocol ends at a gigabyte. More rows go in several, of one transaction."""

PING_S: Final = 5.0
"""How often an idle writer asks the server whether it still is the writer."""

STILL_OURS: Final = "SELECT count(*) FROM helm_store WHERE writer_token = %s"

STRONG: Final = frozenset({"on", "remote_apply"})
"""Ways to commit that end on a disk, a standby's too where there is one that counts."""

SNAPSHOTS: Final = "SELECT * FROM boundary_surface_snapshots ORDER BY surface"
FORGET: Final = "DELETE FROM boundary_surface_snapshots"
KEEP: Final = "INSERT INTO boundary_surface_snapshots VALUES(%s, %s, %s, %s, %s)"


@attrs.define
class Line:
    """What a batch goes through to the server; tests put a server between that hangs or fails."""

    def commit(self, link: Link, work: Callable[[], None]) -> None:
        """Have `work` done on the link."""
        work()


LINE: Final = Line()


@attrs.frozen(kw_only=True)
class Place:
    """Which database, what is looked at for free space, and what the batches go through."""

    database: Database
    ground: Ground
    line: Line = LINE


@attrs.define
class Book:
    """The open journal. The first error is the last thing that it does."""

    link: Link
    ground: Ground
    head: int
    writer: fence.Writer
    _line: Line
    is_condemned: bool = attrs.field(default=False, init=False)
    _ping_at: float = attrs.field(default=0.0, init=False)

    def append(self, rows: tuple[bytes, ...], begin: Callable[[], None]) -> int:
        """Make the rows durable, return the number of the first. A DatabaseLost leaves the outcome unknown."""
        begin()
        self._line.commit(self.link, lambda: self._insert(rows))
        first = self.head + 1
        self.head += len(rows)
        self._ping_at = time.monotonic() + PING_S
        return first

    def _insert(self, rows: tuple[bytes, ...]) -> None:
        parts = list(statements_of(rows))
        if len(parts) == 1:
            self._put(self.head, rows)
        else:
            with self.link.transaction():
                done = self.head
                for part in parts:
                    self._put(done, part)
                    done += len(part)
        self._check_no_complaint()

    def _put(self, after: int, rows: Sequence[bytes]) -> None:
        if self.link.change(INSERT, self.writer.token, after, list(rows)) != len(rows):
            raise DatabaseLost("another kernel has taken this journal over")

    def _check_no_complaint(self) -> None:
        """A commit whose standby did not confirm it is answered with a warning, and with success."""
        if self.link.complaints:
            raise DatabaseLost(f"the server committed, and warned: {self.link.complaints[0]}")

    def tidy(self) -> None:
        """See that the server is there, and that this is its writer. Raises DatabaseLost, OSError."""
        if self.ground.is_due():
            self.ground.check(None)
        self.link.check_alive()
        if time.monotonic() >= self._ping_at:
            if self.link.run(STILL_OURS, self.writer.token) != [(1,)]:
                raise DatabaseLost("another kernel has taken this journal over")
            self._ping_at = time.monotonic() + PING_S

    def work_ahead(self) -> bool:
        """Nothing: the server finds room for itself."""
        return False

    def condemn(self) -> None:
        """Ask nothing more: the session keeps its lock, while it lives, until effects that are under way have ended."""
        self.is_condemned = True

    def snapshots(self) -> list[Snapshot]:
        """Return what was kept of the surfaces. Raises DatabaseLost."""
        return [Snapshot(*row) for row in self.link.run(SNAPSHOTS)]

    def keep(self, snapshots: Sequence[Snapshot]) -> None:
        """Put these in the place of all that was kept. Raises DatabaseLost."""
        with self.link.transaction():
            self.link.run(FORGET)
            for one in snapshots:
                self.link.run(KEEP, *attrs.astuple(one))


def statements_of(rows: tuple[bytes, ...]) -> Iterator[tuple[bytes, ...]]:
    """Yield the rows in parts that one statement carries."""
    part: list[bytes] = []
    size = 0
    for row in rows:
        if part and size + len(row) > AT_ONCE_BYTES:
            yield tuple(part)
            part, size = [], 0
        part.append(row)
        size += len(row)
    yield tuple(part)


@contextmanager
def opened(place: Place) -> Iterator[Book]:
    """Connect, take the lock, make or check the tables, become the writer. Raises Invalid."""
    where = str(place.database)
    link = connect(place.database, "kernel", writing=True)
    with closing(link), fence.held(link, where):
        try:
            schema.make_ready(link, where)
            commit_durably(link)
            writer = fence.announce(link)
            place.ground.check(None)
            book = Book(link, place.ground, schema.head_of(link, where), writer, place.line)
            link.complaints.clear()
        except OSError as problem:
            raise Invalid(f"the journal cannot be read: {problem}", where) from problem
        yield book
        if not book.is_condemned:
            with suppress(DatabaseLost):
                fence.leave(link)


def commit_durably(link: Link) -> None:
    """Have every commit of this session wait for the disk, whatever the server's default is. Raises DatabaseLost."""
    if schema.setting(link, "synchronous_commit") not in STRONG:
        link.run("SELECT set_config('synchronous_commit', 'on', false)")
