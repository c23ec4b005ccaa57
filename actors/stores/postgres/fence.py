"""One writer per database: a lock that ends with its session, and a token that every commit must still find.

The lock keeps a second kernel out while the first one's session lives. The token is for what a lock cannot see: a
pooler that gave our statements to another session, a server that was rolled back, a session that somebody ended.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Final

import attrs

from actors.stores.postgres.link import DatabaseLost, Link
from helm.contracts.errors import Invalid

TAKE: Final = """
    SELECT pg_try_advisory_lock((1212501069::bigint << 32) | current_schema()::regnamespace::oid::bigint)"""
"""An advisory lock's number: "HELM", and the schema that the journal is in."""

LEAVE: Final = TAKE.replace("pg_try_advisory_lock", "pg_advisory_unlock")

HOLDER: Final = """
    SELECT l.pid, coalesce(a.application_name, '') FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND l.classid = 1212501069::oid AND l.objid = current_schema()::regnamespace::oid"""

NAMED: Final = re.compile(r"helm kernel (?P<pid>[1-9][0-9]{0,8}) on (?P<host>.*)")

LEAVING_S: Final = 10.0
"""How long a start waits for the server to notice the end of a session that has ended on our side already."""

HELD: Final[set[int]] = set()
"""The sessions of this process that have a lock. Any other one that bears our name is on its way out: a journal that
failed asks nothing more of its session, not even to give the lock back."""

LOOK_S: Final = 0.05

SESSION: Final = "SELECT pg_backend_pid()"

RAISE: Final = "UPDATE helm_store SET writer_epoch = writer_epoch + 1, writer_token = %s RETURNING writer_epoch"


@attrs.frozen(kw_only=True)
class Writer:
    """This opening of the journal: its number, and a token that no other opening has, after a rollback either."""

    epoch: int
    token: str = attrs.field(repr=False)


@contextmanager
def held(link: Link, where: str) -> Iterator[None]:
    """Hold the lock until the body gives it back. Raises Invalid where it cannot be had."""
    try:
        session = take(link, where)
    except DatabaseLost as problem:
        raise Invalid(f"the journal cannot be read: {problem}", where) from problem
    HELD.add(session)
    try:
        yield
    finally:
        HELD.discard(session)


def take(link: Link, where: str) -> int:
    """Take the lock for as long as the session lives, and return the session's number. Raises Invalid, DatabaseLost."""
    waited_until = monotonic() + LEAVING_S
    while not link.run(TAKE)[0][0]:
        holder, session = holder_of(link)
        if not is_gone(holder, session) or monotonic() > waited_until:
            hint = f"{told(holder)}: commands reach it by --server; another kernel needs its own database"
            raise Invalid("another kernel writes this journal", where, hint)
        sleep(LOOK_S)
    return int(link.run(SESSION)[0][0])


def leave(link: Link) -> None:
    """Give the lock back: a server hears of the end of a session a moment later than we do. Raises DatabaseLost."""
    link.run(LEAVE)


def announce(link: Link) -> Writer:
    """Shut out every writer before this one: none of its commits finds its token again. Raises DatabaseLost."""
    token = secrets.token_hex(16)
    [(epoch,)] = link.run(RAISE, token)
    return Writer(epoch=epoch, token=token)


def holder_of(link: Link) -> tuple[str, int]:
    """Return name and number of the session that has the lock, "" where none has. Raises DatabaseLost."""
    rows = link.run(HOLDER)
    return (f"{rows[0][1]} (session {rows[0][0]})", int(rows[0][0])) if rows else ("", 0)


def told(holder: str) -> str:
    """Return who has the lock, for people."""
    named = NAMED.match(holder)
    return f"process {named['pid']} holds it, on {named['host']}" if named else f"it is held by {holder or 'somebody'}"


def is_gone(holder: str, session: int) -> bool:
    """Tell whether the lock is free by now, or held for a process of this machine that has ended, or given it up."""
    named = NAMED.match(holder)
    if not holder or named is None:
        return not holder
    if named["host"].partition(" (session ")[0] != socket.gethostname():
        return False
    if int(named["pid"]) == os.getpid():
        return session not in HELD
    try:
        os.kill(int(named["pid"]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
