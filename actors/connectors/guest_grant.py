"""A sandbox grant on this machine: the folders, variables, clock and randomness that it comes to, for one run."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.metadata import version
from pathlib import Path

from actors.connectors.guest_files import HostHandle
from helm.contracts.reason import ReasonCode
from helm.contracts.sandbox import ListMode, PreopenMode, SandboxGrant, SandboxPreopen, Source
from helm.crypto.hashing import sha256
from helm.runtime.sandbox.port import Denied, GuestEnded, Surroundings
from helm.runtime.sandbox.sources import FixedBytes, FixedClock
from helm.runtime.sandbox.tree import TooLarge, tree_hash
from helm.runtime.sandbox.wasi import REALTIME

RUNTIME_VERSION = version("wasmtime")

REDACTED = "redacted"
"""What a guest reads where a grant shows it that a variable is there."""

MACHINE = ("/dev", "/proc", "/sys")

MILLISECOND_NS = 1_000_000


def check_version(grant: SandboxGrant) -> None:
    """Raise GuestEnded where the grant is for another version of the runtime than this one."""
    if grant.runtime_version not in ("", RUNTIME_VERSION):
        reason = f"the grant is for wasmtime {grant.runtime_version}, this is {RUNTIME_VERSION}"
        raise GuestEnded(ReasonCode.SANDBOX_VIOLATION, reason)


@contextmanager
def surroundings(grant: SandboxGrant, arguments: bytes, data_dir: Path) -> Iterator[Surroundings]:
    """Yield what one run is given, and take it away again. Raises GuestEnded where something of it is not there."""
    with ExitStack() as open_folders:
        folders = []
        for preopen in grant.filesystem_preopens:
            handle = folder_of(preopen, data_dir, shows_times=grant.clock == Source.REAL)
            open_folders.callback(handle.close)
            folders.append((preopen.guest_path, handle))
        yield Surroundings(
            clock=clock_of(grant),
            environment=tuple(variables(grant)),
            folders=tuple(folders),
            open_files=grant.limits.open_files,
            random=random_of(grant, arguments),
        )


def clock_of(grant: SandboxGrant) -> Callable[[int], int] | None:
    """Return the clock of one run."""
    match Source(grant.clock):
        case Source.DENIED:
            return None
        case Source.FIXED:
            return FixedClock()
        case Source.REAL:
            return clock


def random_of(grant: SandboxGrant, arguments: bytes) -> Callable[[int], bytes] | None:
    """Return the randomness of one run."""
    match Source(grant.randomness):
        case Source.DENIED:
            return None
        case Source.FIXED:
            return FixedBytes(sha256(arguments))
        case Source.REAL:
            return secrets.token_bytes


def folder_of(preopen: SandboxPreopen, data_dir: Path, *, shows_times: bool) -> HostHandle:
    """Open a folder that a grant names. Raises GuestEnded."""
    check_apart(preopen.path, data_dir)
    is_writable = preopen.mode == PreopenMode.WRITE
    try:
        folder = HostHandle.of_root(preopen.path, is_writable=is_writable, shows_times=shows_times)
    except OSError as problem:
        reason = f"the folder {preopen.path} cannot be opened, or is reached by a link: {problem.strerror}"
        raise GuestEnded(ReasonCode.SANDBOX_VIOLATION, reason) from problem
    if folder.device in machine_devices():
        folder.close()
        reason = f"the folder {preopen.path} is the machine's own: its files are processes and devices"
        raise GuestEnded(ReasonCode.SANDBOX_VIOLATION, reason)
    try:
        check_content(preopen, folder)
    except GuestEnded:
        folder.close()
        raise
    return folder


def check_content(preopen: SandboxPreopen, folder: HostHandle) -> None:
    """Raise GuestEnded for a folder that does not hold what the grant says."""
    if not preopen.content_hash:
        return
    try:
        found = tree_hash(folder)
    except (TooLarge, Denied) as problem:
        reason = f"not all of the folder {preopen.path} can be read: {problem}"
        raise GuestEnded(ReasonCode.SANDBOX_VIOLATION, reason) from problem
    if found != preopen.content_hash:
        raise GuestEnded(ReasonCode.SANDBOX_VIOLATION, f"the folder {preopen.path} holds something else: {found}")


def machine_devices() -> frozenset[int]:
    """Return the file systems of which a name is no file that lies somewhere (T4)."""
    return frozenset(os.stat(path).st_dev for path in MACHINE if os.path.isdir(path))


def check_apart(path: str, data_dir: Path) -> None:
    """Raise GuestEnded for a folder in which a guest would find HELM's own keys and journal, or be found by them."""
    root, own = Path(path), data_dir.resolve()
    if root == own or own in root.parents or root in own.parents:
        reason = f"the folder {path} and HELM's data directory lie in one another"
        raise GuestEnded(ReasonCode.SANDBOX_VIOLATION, reason)


def variables(grant: SandboxGrant) -> Iterator[bytes]:
    """Yield the granted variables that are set, NAME=value each."""
    for name in grant.env.names:
        if name in os.environ:
            value = os.environ[name] if grant.env.mode == ListMode.ALLOWLIST else REDACTED
            yield os.fsencode(f"{name}={value}")


def clock(which: int) -> int:
    """Return nanoseconds, no finer than a millisecond: it must not measure anybody else."""
    now_ns = time.time_ns() if which == REALTIME else time.monotonic_ns()
    return now_ns - now_ns % MILLISECOND_NS
