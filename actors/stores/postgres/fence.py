"""One writer per database: a lock that ends with its session, and a token that every commit must still find.

The lock keeps a second kernel out while the first one's session lives. The token is for what a lock cannot see: a
pooler that gave our statements to another session, a server that was rolled back, a session that somebody ended.
"""

from __future__ import annotations

import os
import re
import secrets
import socket
import time
from typing import Final

import attrs

from actors.stores.postgres.link import Link
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

NAMED: Final = re.compile(r"helm kernel (?P<pid>\d+) on (?P<host>.*)")

LEAVING_S: Final = 10.0
"""How long a start waits for the session of a process that is dead already to be noticed by its server."""

LOOK_S: Final = 0.05

RAISE: Final = "UPDATE helm_store SET writer_epoch = writer_epoch + 1, writer_token = %s RETURNING writer_epoch"


@attrs.frozen(kw_only=True)
class Writer:
    """This opening of the journal: its number, and a token that no other opening has, after a rollback either."""

    epoch: int
    token: str = attrs.field(repr=False)


def take(link: Link, where: str) -> None:
    """Take the lock for as long as the session lives. Raises Invalid where another kernel has it, DatabaseLost."""
    waited_until = time.monotonic() + LEAVING_S
    while not link.run(TAKE)[0][0]:
        holder = holder_of(link)
        if not is_dead(holder) or time.monotonic() > waited_until:
            hint = f"{told(holder)}: commands reach it by --server; another kernel needs its own database"
            raise Invalid("another kernel writes this journal", where, hint)
        time.sleep(LOOK_S)


def leave(link: Link) -> None:
    """Give the lock back: a server hears of the end of a session a moment later than we do. Raises DatabaseLost."""
    link.run(LEAVE)


def announce(link: Link) -> Writer:
    """Shut out every writer before this one: none of its commits finds its token again. Raises DatabaseLost."""
    token = secrets.token_hex(16)
    [(epoch,)] = link.run(RAISE, token)
    return Writer(epoch=epoch, token=token)


def holder_of(link: Link) -> str:
    """Return the name of the session that has the lock, "" where none has. Raises DatabaseLost."""
    rows = link.run(HOLDER)
    return f"{rows[0][1]} (session {rows[0][0]})" if rows else ""


def told(holder: str) -> str:
    """Return who has the lock, for people."""
    named = NAMED.match(holder)
    return f"process {named['pid']} holds it, on {named['host']}" if named else f"it is held by {holder or 'somebody'}"


def is_dead(holder: str) -> bool:
    """Tell whether the lock is free by now, or its holder was a process of this machine that has ended."""
    named = NAMED.match(holder)
    if not holder or named is None:
        return not holder
    if named["host"].partition(" (session ")[0] != socket.gethostname():
        return False
    try:
        os.kill(int(named["pid"]), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
