"""Bubblewrap: the system's own tool for namespaces, and how it is asked for exactly what a grant says."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

import attrs
import trio

from actors.connectors.programs.keeper import NOBODY
from helm.guardian.connection import ProgramGrant

PLACES: Final = ("/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap")
"""Where it is looked for: a search path would let whoever sets it choose what confines."""

LIBRARIES: Final = (
    "/usr",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/bin",
    "/sbin",
    "/etc/ld.so.cache",
    "/etc/alternatives",
)
"""What programs are linked with, and other programs: shown for reading under every grant."""

HOME: Final = "/work"
"""The empty directory in which a program begins that names none."""

PROBE_S: Final = 5.0


@attrs.frozen
class Bubblewrap:
    """The tool as it was found on this host."""

    path: str
    version: str

    def words(self, grant: ProgramGrant, *, filters: bool = False) -> list[str]:
        """Return the command that starts the pinned program, but for its own words.

        `{program}`, `{status}` and `{filter}` stand for the descriptors of the program's bytes, of what the tool tells,
        and of the filter of system calls that it puts in force last, where there is one.
        """
        return [
            self.path,
            *("--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"),
            *(() if grant.network else ("--unshare-net",)),
            *("--disable-userns", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "helm"),
            *shown("--ro-bind-try", LIBRARIES),
            *("--proc", "/proc", "--dev", "/dev"),
            *("--size", str(max(1, grant.limits.file_bytes)), "--perms", "0700", "--tmpfs", HOME),
            *shown("--ro-bind", grant.reads),
            *shown("--bind", grant.writes),
            *("--perms", "0555", "--ro-bind-data", "{program}", grant.program),
            *(("--seccomp", "{filter}") if filters else ()),
            *("--chdir", grant.directory or HOME, "--json-status-fd", "{status}", "--", grant.program),
        ]


def shown(flag: str, paths: Sequence[str]) -> Iterator[str]:
    """Yield the words that show each path where it is."""
    for path in paths:
        yield from (flag, path, path)


async def works(tool: Bubblewrap) -> bool:
    """Tell whether this machine lets the tool make its namespaces: in many containers the kernel lets nobody."""
    words = [tool.path, "--unshare-user", "--unshare-pid", "--unshare-net", "--disable-userns", "--ro-bind", "/", "/"]
    user: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": ()} if os.getuid() == 0 else {}
    with trio.move_on_after(PROBE_S), suppress(OSError):
        done = await trio.run_process(
            [*words, "--proc", "/proc", "/bin/true"],
            capture_stdout=True,
            stderr=subprocess.DEVNULL,
            check=False,
            cwd="/",
            env={},
            **user,
        )
        return done.returncode == 0
    return False


async def find() -> Bubblewrap | None:
    """Return the tool where this host has it and it works here, None where it does not: then nothing is confined."""
    for path in PLACES:
        if not os.access(path, os.X_OK):
            continue
        with trio.move_on_after(PROBE_S):
            told = await trio.run_process(
                [path, "--version"], capture_stdout=True, stderr=subprocess.DEVNULL, check=False, env={}
            )
            version = told.stdout.decode("ascii", "replace").strip()
            if told.returncode == 0 and version.startswith("bubblewrap "):
                return Bubblewrap(path, version)
    return None
