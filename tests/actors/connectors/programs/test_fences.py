"""Landlock and the filter of system calls, really in force: what a program wants and does not get."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.connectors.port import NotDispatched
from actors.connectors.programs import keeper
from actors.connectors.programs.filter import ALLOW, EQUAL, LOAD, NUMBER_AT, RETURN, jump
from tests.actors.connectors.programs.kit import CLOSED, FENCED, OPEN, hash_of, ran
from tests.actors.connectors.programs.test_programs import enforced_in, needs_bubblewrap, needs_landlock

PYTHON = str(Path(sys.executable).resolve())
needs_perl = pytest.mark.skipif(not os.access("/usr/bin/perl", os.X_OK), reason="perl makes system calls by number")

FILTERED = [
    pytest.param(CLOSED, id="bubblewrap", marks=needs_bubblewrap),
    pytest.param(FENCED, id="landlock", marks=needs_landlock),
]
EPERM = 1


def perl(script: str) -> str:
    """Return the command that runs a script, which tells on its last line."""
    return f"/usr/bin/perl -e '{' '.join(script.split())}'"


@pytest.fixture
def shared() -> Iterator[Path]:
    """A folder that the user of programs can reach, and may write into as far as its mode goes."""
    with tempfile.TemporaryDirectory(prefix="helm-shared-", dir="/tmp") as name:
        Path(name).chmod(0o777)
        (Path(name) / "file").write_bytes(b"7")
        (Path(name) / "file").chmod(0o666)
        yield Path(name)


@needs_landlock
async def test_under_landlock_no_file_is_there_that_was_not_granted(shared: Path) -> None:
    looks = [
        f"cat {shared}/file && echo 1",
        f"ls {shared} && echo 2",
        "cat /etc/passwd && echo 3",
        "cat /proc/self/environ && echo 4",
        f"echo x > {shared}/file && echo 5",
        f"echo x > {shared}/new && echo 6",
        "ln -s /etc/passwd link && cat link && echo 7",
        f"truncate -s 0 {shared}/file && echo 8",
        "ls / && echo 9",
        f"mv own {shared}/own && echo 10",
        "echo 0",
    ]
    outcome = await ran(f"touch own; {{ {'; '.join(looks)}; }} 2>/dev/null | head -1", isolation=FENCED)
    assert outcome.answer == 0
    told = enforced_in(outcome.enforced)
    assert (told["files"], told["network"]) == ("granted only", "none")
    assert told["by"].startswith("landlock, version ")
    assert (shared / "file").read_bytes() == b"7"


@needs_landlock
async def test_under_landlock_what_was_granted_is_there_and_no_more_than_granted(shared: Path) -> None:
    reads, writes = f'reads = ["{shared}"]', f'writes = ["{shared}"]'
    change = f"{{ echo 8 > {shared}/file; }} 2>/dev/null; cat {shared}/file"
    assert (await ran(change, isolation=FENCED, limits=reads)).answer == 7
    assert (await ran(change, isolation=FENCED, limits=writes)).answer == 8


@needs_landlock
async def test_under_landlock_a_path_of_the_grant_that_is_not_there_starts_nothing() -> None:
    with pytest.raises(NotDispatched, match="cannot be reached"):
        await ran("echo 1", isolation=FENCED, limits='reads = ["/nowhere/at/all"]')


@needs_landlock
async def test_under_landlock_a_script_is_read_by_its_interpreter_and_begins_where_it_may_write(shared: Path) -> None:
    script = shared / "script"
    script.write_text("#!/bin/sh\ntouch own && echo 1\n")
    script.chmod(0o755)
    more: dict[str, Any] = {"program": str(script), "program_hash": hash_of(str(script))}
    assert (await ran("x", isolation=FENCED, **more)).answer == 1
    named = f'directory = "{shared}"\nwrites = ["{shared}"]'
    assert (await ran("x", isolation=FENCED, limits=named, **more)).answer == 1
    assert (shared / "own").exists()


SOCKETS = """
my @found = map { socket(my $one, $_, 1, 0) ? 0 : $! + 0 } (2, 10, 1, 16);
socketpair(my $a, my $b, 1, 1, 0) or die;
print "[" . join(",", @found) . "]";
"""
"""Of the Internet, old and new, of this machine, and of the kernel itself."""

REACHES = """
socket(my $one, 2, 1, 0) or die;
print connect($one, pack("S n C4 x8", 2, PORT, 127, 0, 0, 1)) ? 1 : 0;
"""


@needs_landlock
@needs_perl
async def test_under_landlock_a_program_without_network_makes_no_socket_of_any_kind() -> None:
    assert (await ran(perl(SOCKETS), isolation=FENCED)).answer == [EPERM] * 4


@needs_landlock
@needs_perl
async def test_under_landlock_a_program_with_network_reaches_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        script = perl(REACHES.replace("PORT", str(server.getsockname()[1])))
        outcome = await ran(script, isolation=f"{FENCED}\nnetwork = true")
    assert (outcome.answer, enforced_in(outcome.enforced)["network"]) == (1, "granted")


@needs_landlock
async def test_under_landlock_a_program_ends_no_process_but_its_own() -> None:
    user: dict[str, Any] = {"user": keeper.NOBODY, "group": keeper.NOBODY} if os.getuid() == 0 else {}
    other = await trio.lowlevel.open_process(["/bin/sleep", "600"], **user)
    try:
        outcome = await ran(f"kill -9 {other.pid} 2>/dev/null; echo $?", isolation=FENCED)
    finally:
        other.kill()
        await other.wait()
    is_kept = enforced_in(outcome.enforced).get("signals") == "its own processes"
    assert (outcome.answer, other.returncode) == (1 if is_kept else 0, -9)


CALLS = """
sub error { $! = 0; return syscall(shift, @_) == -1 ? $! + 0 : 0 }
print "[" . join(",", error(272, 0), error(425, 0, 0), error(310, 1, 0, 0, 0, 0, 0), error(312, 1, 1, 99, 0, 0),
  error(101, 99, 0, 0, 0), error(250, 99, 0, 0, 0, 0)) . "]";
"""
"""unshare, io_uring_setup, process_vm_readv, kcmp, ptrace and keyctl, by their numbers, so that they do nothing."""


@needs_perl
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="written with the numbers of x86-64")
@pytest.mark.parametrize("isolation", FILTERED)
async def test_what_a_program_has_no_use_for_the_kernel_refuses_it(isolation: str) -> None:
    unshare, ring, *_ = (await ran(perl(CALLS), isolation=OPEN)).answer
    assert EPERM not in (unshare, ring)  # where nothing filters, these are answered otherwise
    outcome = await ran(perl(CALLS), isolation=isolation)
    assert outcome.answer == [EPERM] * 6
    assert enforced_in(outcome.enforced)["refused_calls"] > 40


@needs_bubblewrap
async def test_the_kernel_says_that_a_filter_is_in_force() -> None:
    script = "grep Seccomp: /proc/self/status | tr -dc 0-9"
    assert (await ran(script, isolation=CLOSED)).answer == 2
    assert (await ran(script, isolation=OPEN)).answer == 0


FORGETFUL = """
import importlib.util, os, sys
spec = importlib.util.spec_from_file_location("keeper", sys.argv[1])
keeper = importlib.util.module_from_spec(spec)
spec.loader.exec_module(keeper)
keeper.call("prctl", keeper.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
keeper.install(bytes.fromhex(sys.argv[2]))
os.execv(sys.executable, [sys.executable, "-I", "-S", sys.argv[1], sys.argv[3], sys.argv[4]])
"""
"""Becomes a keeper to which the kernel says that it knows no Landlock."""


@needs_landlock
def test_a_kernel_without_landlock_starts_nothing_under_a_grant_that_demands_it() -> None:
    enosys = b"".join(
        (
            jump(LOAD, NUMBER_AT, 0, 0),
            jump(EQUAL, keeper.LANDLOCK_CREATE_RULESET, 0, 1),
            jump(RETURN, 0x0005_0026, 0, 0),
            jump(RETURN, ALLOW, 0, 0),
        )
    )
    order = {
        "by": [],
        "directory": "/",
        "environment": {},
        "filter": "",
        "killed": "",
        "landlock": {"libraries": [], "network": True, "reads": [], "writes": []},
        "limits": {},
        "program": PYTHON,
        "program_hash": hash_of(PYTHON),
        "refused_calls": 0,
        "stdin": "",
        "words": [PYTHON, "-c", "print(1)"],
    }
    ear, mouth = os.pipe()
    words = [sys.executable, "-c", FORGETFUL, keeper.__file__, enosys.hex(), str(mouth), str(mouth)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, pass_fds=(mouth,)) as process:
        os.close(mouth)
        said, _ = process.communicate(json.dumps(order).encode() + b"\n", timeout=60)
    with os.fdopen(ear, "rb") as told:
        assert "this kernel's Landlock is version 0" in json.loads(told.readline())["refused"]
    assert said == b""
