"""The one door to psycopg: a connection that is set up the same way each time, and is never silently made anew."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Final

import attrs

from helm.contracts.errors import Invalid
from helm.database import Database

INSTALL: Final = "pip install 'helm-kernel[postgres]'"

CONNECT_S: Final = 10
"""How long a start waits for a server that does not answer."""

STATEMENT_MS: Final = 30_000
"""The longest that one statement may take: a server that hangs ends the kernel instead of holding every call."""

LOCK_MS: Final = 10_000
"""The longest wait for a lock on a table: nobody but us takes any, but for a backup or a clumsy operator."""

IDLE_S: Final = 15
GAP_S: Final = 5
PROBES: Final = 3
"""A dead peer is noticed after half a minute, by us and by the server: until then its lock keeps everyone else out."""

SETTINGS: Final = {
    "statement_timeout": str(STATEMENT_MS),
    "lock_timeout": str(LOCK_MS),
    "idle_in_transaction_session_timeout": str(STATEMENT_MS),
    "client_connection_check_interval": str(GAP_S * 1000),
    "tcp_keepalives_idle": str(IDLE_S),
    "tcp_keepalives_interval": str(GAP_S),
    "tcp_keepalives_count": str(PROBES),
    "client_min_messages": "warning",
}
"""Set for our sessions alone, whatever the server's defaults are."""

SET: Final = f"SELECT {', '.join(['set_config(%s, %s, false)'] * len(SETTINGS))}"

Row = tuple[Any, ...]


class DatabaseLost(OSError):
    """The database did not do what it was asked, or nobody knows whether it did. Nothing is asked of it again."""


def psycopg() -> ModuleType:
    """Return the library. Raises Invalid where it is not installed, with how to."""
    try:
        import psycopg as library
    except ImportError as problem:
        raise Invalid("PostgreSQL needs psycopg, which is not installed", "DATABASE_URL", INSTALL) from problem
    return library


def client_name(what: str) -> str:
    """Return what others see of us in pg_stat_activity."""
    return f"helm {what} {os.getpid()} on {socket.gethostname()}"[:63]


@attrs.define(eq=False)
class Link:
    """One connection. It commits each statement by itself, but within `transaction`."""

    _connection: Any
    complaints: list[str] = attrs.field(factory=list)
    """Warnings of the server: a commit that it warned about is no commit to build on."""

    def run(self, sql: str, *values: object) -> list[Row]:
        """Run one statement and return its rows. Raises DatabaseLost."""
        with translated():
            cursor = self._connection.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else []

    def change(self, sql: str, *values: object) -> int:
        """Run one statement and return how many rows it wrote. Raises DatabaseLost."""
        with translated():
            count: int = self._connection.execute(sql, values or None).rowcount
            return count

    def read(self, sql: str, *values: object) -> list[Row]:
        """Run one statement and return its rows as the server has them, without spelling them. Raises DatabaseLost."""
        with translated(), self._connection.cursor(binary=True) as cursor:
            rows: list[Row] = cursor.execute(sql, values or None).fetchall()
            return rows

    def script(self, statements: Sequence[str]) -> None:
        """Run statements that hold no values. Raises DatabaseLost."""
        for sql in statements:
            self.run(sql)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the statements of the body one step. Raises DatabaseLost."""
        with translated(), self._connection.transaction():
            yield

    def check_alive(self) -> None:
        """Look at the socket, without a round trip: a server that said goodbye is gone. Raises DatabaseLost."""
        with translated():
            descriptor = self._connection.fileno()
            readable, _, _ = select.select([descriptor], [], [], 0)
            if readable:  # nobody asked anything: it is a farewell, or a notice
                self.run("SELECT 1")

    def close(self) -> None:
        """Give the connection back, and with it every lock of its session. Idempotent."""
        self._connection.close()


def connect(database: Database, what: str, *, writing: bool = False) -> Link:
    """Open a connection; `writing` refuses a standby. Raises Invalid."""
    library = psycopg()
    parameters: dict[str, Any] = {
        "application_name": client_name(what),
        "connect_timeout": CONNECT_S,
        "keepalives_idle": IDLE_S,
        "keepalives_interval": GAP_S,
        "keepalives_count": PROBES,
        "tcp_user_timeout": STATEMENT_MS,
        "client_encoding": "UTF8",
    }
    if writing:
        parameters["target_session_attrs"] = "read-write"
    try:
        connection = library.connect(database.url, autocommit=True, prepare_threshold=2, **parameters)
        link = Link(connection)
        connection.add_notice_handler(lambda notice: link.complaints.append(notice.message_primary or ""))
        link.run(SET, *(word for setting in SETTINGS.items() for word in setting))
        link.complaints.clear()
    except (library.Error, DatabaseLost) as problem:
        what = f"the database cannot be reached: {database.scrubbed(told(problem))}"
        raise Invalid(what, str(database), "look at the server, at DATABASE_URL and at its password") from None
    return link


@contextmanager
def translated() -> Iterator[None]:
    """Turn what psycopg raises into DatabaseLost, which no longer refers to the connection's parameters."""
    library = psycopg()
    try:
        yield
    except library.Error as problem:
        raise DatabaseLost(told(problem)) from None


def told(problem: BaseException) -> str:
    """Return what went wrong in one line."""
    state = getattr(problem, "sqlstate", None)
    words = " ".join(str(problem).split())
    return f"{words} (SQLSTATE {state})" if state else words
