"""Keeps one program: sets its limits, starts it, and ends with it all that it started.

This file is run by an interpreter of its own, with nothing of HELM's and nothing but the standard library. It reads
one order, a line of JSON, on its input, and tells on a descriptor of its own what it enforced and how it ended. As soon
as its input ends it kills what it keeps: HELM that is killed closes it too.

On Linux it is the one to whom orphans fall (PR_SET_CHILD_SUBREAPER), so that a program which leaves its session
behind is still found. It never runs a shell, and execs the very bytes that it hashed.
"""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import resource
import select
import signal
import stat
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

MAX_PROGRAM_BYTES = 512 * 1024 * 1024
PIECE = 1024 * 1024

PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS = 1, 22, 36, 38
SECCOMP_MODE_FILTER = 2
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
"""The same numbers on every architecture (asm-generic/unistd.h)."""

OLDEST_LANDLOCK = 3
"""The first version that keeps a program from cutting off files which it may not write (Linux 6.2)."""

SCOPING_LANDLOCK = 6
"""The first version under which a program ends no processes but its own (Linux 6.12)."""

FILE_RIGHTS = sum(1 << bit for bit in (0, 1, 2, 14, 15))
"""Execute, write, read, cut off, control a device: what a rule for a single file may name (linux/landlock.h)."""

READ_RIGHTS = sum(1 << bit for bit in (0, 2, 3))
"""Execute, read, list."""

MAKES_DEVICES = 1 << 6 | 1 << 11

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

NOBODY = 65_534
"""As whom a program runs that root keeps: neither limits on processes nor the modes of files bind root."""

SWEEP_S = 3.0
"""For which it goes on killing what forks faster than it dies; the limit on processes ends that race."""

IS_LINUX = sys.platform == "linux"


class Refused(Exception):
    """What was demanded is not there, or cannot be set: nothing was started."""


def main() -> int:
    """Keep one program; return 0 whatever became of it."""
    told, status = int(sys.argv[1]), int(sys.argv[2])
    os.set_inheritable(told, False)
    os.set_inheritable(status, False)
    order = read_order()
    try:
        kept = start(order, status)
    except (Refused, OSError) as problem:
        tell(told, {"refused": str(problem)})
        return 0
    tell(told, {"began": kept.enforced})
    ended = wait(kept)
    left = sweep()
    tell(told, {"ended": ended, "left": left})
    return 0


def read_order() -> dict[str, Any]:
    """Return the order; what comes behind it is the end of the input."""
    line = b""
    while not line.endswith(b"\n"):
        piece = os.read(0, 65_536)
        if not piece:
            sys.exit(0)  # whoever ordered is gone
        line += piece
    order: dict[str, Any] = json.loads(line)
    return order


def tell(told: int, message: dict[str, Any]) -> None:
    """Say one thing; nobody may be left to hear it."""
    try:
        os.write(told, json.dumps(message).encode() + b"\n")
    except OSError:
        pass


class Kept:
    """A program under way."""

    def __init__(self, pid: int, waker: int, enforced: dict[str, Any]) -> None:
        self.pid = pid
        self.waker = waker
        self.enforced = enforced


def start(order: dict[str, Any], status: int) -> Kept:
    """Start the program. Raises Refused and OSError where it was not, so that nothing happened."""
    enforced: dict[str, Any] = {}
    program = opened(order["program"], order["program_hash"])
    enforced["program"] = "hashed at start"
    source = as_input(order["stdin"].encode())
    if IS_LINUX:
        call("prctl", PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    enforced["killed"] = order["killed"] or ("orphans too" if IS_LINUX else "process group")
    mouth, waker = os.pipe()
    os.set_blocking(mouth, False)
    os.set_blocking(waker, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    heard, says = os.pipe()  # closes with the exec
    pid = os.fork()
    if pid == 0:
        become(order, Descriptors(program, source, says, status))
    os.close(says)
    with os.fdopen(heard, "rb") as pipe:
        said = pipe.read()
    set_by_it, _, problem = said.partition(b"\n")
    if problem or not set_by_it:
        os.waitpid(pid, 0)
        raise Refused(problem.decode("utf-8", "replace") or "it could not be started")
    enforced |= json.loads(set_by_it)
    return Kept(pid, mouth, enforced)


def opened(path: str, program_hash: str) -> int:
    """Return a descriptor of the pinned program. Raises Refused for anything else."""
    try:
        program = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as problem:
        raise Refused(f"the program cannot be opened: {os.strerror(problem.errno or 0)}") from problem
    before = os.fstat(program)
    if not stat.S_ISREG(before.st_mode) or before.st_size > MAX_PROGRAM_BYTES:
        raise Refused("the program is no regular file, or too long")
    found = hashlib.sha256()
    while piece := os.read(program, PIECE):
        found.update(piece)
    after = os.fstat(program)
    if "sha256:" + found.hexdigest() != program_hash:
        raise Refused("the program is not the one that the policy pins")
    if (before.st_mtime_ns, before.st_size) != (after.st_mtime_ns, after.st_size):
        raise Refused("the program changed while it was hashed")
    return program


def as_input(text: bytes) -> int:
    """Return a descriptor from which `text` is read."""
    if not text:
        return os.open(os.devnull, os.O_RDONLY)
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the program reads it
    file.write(text)
    file.seek(0)
    return os.dup(file.fileno())


class Descriptors(NamedTuple):
    """What the forked child holds."""

    program: int
    source: int
    says: int
    status: int


def become(order: dict[str, Any], at: Descriptors) -> NoReturn:
    """Become the program: in the forked child, which says what it set, or why it did not."""
    try:
        enforced = confine(order)
        os.chdir(order["directory"])
        if order["landlock"]:
            enforced |= fence(order["landlock"], at.program)
        if order["filter"]:
            enforced["refused_calls"] = order["refused_calls"]
            if not order["by"]:
                install(bytes.fromhex(order["filter"]))
        os.dup2(at.source, 0)
        # What was set is said before the exec: afterwards there is nobody of ours to say it. An exec that fails takes
        # it back, because then more comes than one line.
        os.write(at.says, json.dumps(enforced).encode() + b"\n")
        if order["by"]:
            execute_within(order, at)
        execute(at.program, order["words"], order["environment"])
    except (Refused, OSError, ValueError) as problem:
        os.write(at.says, b"\n" + str(problem).encode())
    finally:
        os._exit(127)


def execute_within(order: dict[str, Any], at: Descriptors) -> NoReturn:
    """Exec the tool that isolates the program, and hand it the bytes that were hashed. Raises Refused and OSError."""
    if os.fstat(at.program).st_size > order["limits"]["file_bytes"]:
        raise Refused("file_bytes is less than the program itself, of which a copy is made")
    os.lseek(at.program, 0, os.SEEK_SET)
    for descriptor in (at.program, at.status):
        os.set_inheritable(descriptor, True)
    named = {"{program}": str(at.program), "{status}": str(at.status)}
    if order["filter"]:
        named["{filter}"] = str(readable(bytes.fromhex(order["filter"])))
    words = [named.get(word, word) for word in order["by"]] + order["words"][1:]
    os.execve(words[0], words, order["environment"])  # noqa: S606 - no shell


def execute(program: int, words: list[str], environment: dict[str, str]) -> None:
    """Exec what was hashed: the open file itself, where the system can."""
    if os.execve in os.supports_fd:
        if os.pread(program, 2, 0) == b"#!":  # its interpreter opens it once more
            os.set_inheritable(program, True)
        os.execve(program, words, environment)  # noqa: S606
    os.execve(words[0], words, environment)  # noqa: S606


def confine(order: dict[str, Any]) -> dict[str, Any]:
    """Set every limit, each for good; return what was set. Raises Refused and OSError."""
    enforced: dict[str, Any] = {}
    os.setpgid(0, 0)
    for ignored in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD):
        signal.signal(ignored, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    if IS_LINUX:
        call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        call("prctl", PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        enforced["new_privileges"] = "none"
    if os.getuid() == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        enforced["user"] = NOBODY
        if IS_LINUX:
            call("prctl", PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # a change of user takes it away
    for name, value in order["limits"].items():
        number = LIMITS[name]
        # A second more of computing before the end that nobody can catch: the first signal says why it came.
        limits = (value, value + 1) if name == "cpu_s" else (value, value)
        resource.setrlimit(number, limits)
        if resource.getrlimit(number) != limits:
            raise Refused(f"the limit {name} cannot be set")
        enforced[name] = value
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    return enforced


def readable(content: bytes) -> int:
    """Return a descriptor from which the next program reads this; it is short enough for a pipe."""
    ear, mouth = os.pipe()
    os.write(mouth, content)
    os.close(mouth)
    os.set_inheritable(ear, True)
    return ear


class Filter(ctypes.Structure):
    """A program in classic BPF (struct sock_fprog)."""

    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def install(instructions: bytes) -> None:
    """Let the kernel refuse system calls from now on, for good. Raises Refused."""
    held = ctypes.create_string_buffer(instructions, len(instructions))
    program = Filter(len(instructions) // 8, ctypes.addressof(held))
    call("prctl", PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program), 0, 0)


def fence(granted: dict[str, Any], program: int) -> dict[str, Any]:
    """Keep this process, and all that it starts, to the files that it was granted, for good (Landlock).

    Returns what is enforced. Raises Refused where this kernel cannot, or a path of the grant is not there.
    """
    abi = landlock_version()
    if abi < OLDEST_LANDLOCK:
        raise Refused(f"this kernel's Landlock is version {abi}, and {OLDEST_LANDLOCK} is needed")
    files = (1 << {3: 15, 4: 15}.get(abi, 16)) - 1
    network = 0 if granted["network"] or abi < 4 else 3
    scoped = 3 if abi >= SCOPING_LANDLOCK else 0
    handled = files.to_bytes(8, "little") + network.to_bytes(8, "little") + scoped.to_bytes(8, "little")
    handled = handled[: 8 if abi < 4 else 16 if abi < SCOPING_LANDLOCK else 24]
    held = ctypes.create_string_buffer(handled, len(handled))
    ruleset = system_call(LANDLOCK_CREATE_RULESET, ctypes.addressof(held), len(handled), 0)
    if ruleset < 0:
        raise Refused(f"no Landlock ruleset can be made: {os.strerror(ctypes.get_errno())}")
    allow(ruleset, program, files & READ_RIGHTS)
    for path in (*granted["libraries"], *DEVICES):
        if os.path.exists(path):
            allow(ruleset, path, files & (READ_RIGHTS if path not in DEVICES else FILE_RIGHTS))
    for path in granted["reads"]:
        allow(ruleset, path, files & READ_RIGHTS)
    for path in granted["writes"]:
        allow(ruleset, path, files & ~MAKES_DEVICES)
    if system_call(LANDLOCK_RESTRICT_SELF, ruleset, 0, 0) != 0:
        raise Refused(f"Landlock cannot be put in force: {os.strerror(ctypes.get_errno())}")
    os.close(ruleset)
    enforced = {"by": f"landlock, version {abi}", "files": "granted only"}
    if scoped:
        enforced["signals"] = "its own processes"
    return enforced


def landlock_version() -> int:
    """Return the version of this kernel's Landlock, 0 where it has none."""
    return max(0, system_call(LANDLOCK_CREATE_RULESET, 0, 0, 1)) if IS_LINUX else 0


def filters() -> bool:
    """Tell whether this kernel takes filters of system calls."""
    try:
        return "errno" in Path("/proc/sys/kernel/seccomp/actions_avail").read_text(encoding="ascii").split()
    except OSError:
        return False


def allow(ruleset: int, where: str | int, rights: int) -> None:
    """Add one rule: a descriptor, or a path with all below it. Raises Refused."""
    try:
        place = os.open(where, os.O_PATH | os.O_CLOEXEC) if isinstance(where, str) else os.dup(where)
    except OSError as problem:
        raise Refused(f"{where} of the grant cannot be reached: {problem.strerror}") from problem
    if not stat.S_ISDIR(os.fstat(place).st_mode):
        rights &= FILE_RIGHTS
    rule = rights.to_bytes(8, "little") + place.to_bytes(4, "little", signed=True)
    held = ctypes.create_string_buffer(rule, len(rule))
    if system_call(LANDLOCK_ADD_RULE, ruleset, 1, ctypes.addressof(held), 0) != 0:
        raise Refused(f"no rule can be made for {where}: {os.strerror(ctypes.get_errno())}")
    os.close(place)


def system_call(number: int, *arguments: int) -> int:
    """Make a system call for which the library has no function; return what it returns, -1 where it fails."""
    function = ctypes.CDLL(None, use_errno=True).syscall
    function.restype = ctypes.c_long
    return int(function(ctypes.c_long(number), *(ctypes.c_long(one) for one in arguments)))


LIMITS = {
    "cpu_s": resource.RLIMIT_CPU,
    "file_bytes": resource.RLIMIT_FSIZE,
    "memory_bytes": resource.RLIMIT_AS,
    "open_files": resource.RLIMIT_NOFILE,
    "processes": resource.RLIMIT_NPROC,
}


def call(name: str, *arguments: int) -> None:
    """Call a function of the system's library. Raises Refused where it fails."""
    if getattr(ctypes.CDLL(None, use_errno=True), name)(*(ctypes.c_long(one) for one in arguments)) != 0:
        raise Refused(f"{name}: {os.strerror(ctypes.get_errno())}")


def wait(kept: Kept) -> dict[str, int]:
    """Return how the program ended; kill it where the input ends first."""
    while os.waitid(os.P_PID, kept.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        ready, _, _ = select.select([0, kept.waker], [], [])
        if kept.waker in ready:
            os.read(kept.waker, 4096)
        if 0 in ready and not os.read(0, 4096):
            break
    kill_group(kept.pid)  # before it is waited for: until then nobody else has its number
    _, status = os.waitpid(kept.pid, 0)
    if os.WIFSIGNALED(status):
        return {"signal": os.WTERMSIG(status)}
    return {"exit": os.WEXITSTATUS(status)}


def kill_group(pid: int) -> None:
    for target in (os.killpg, os.kill):
        try:
            target(pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass


def sweep() -> int:
    """Kill all that the program left behind; return how many were still there at the end."""
    until = time.monotonic() + SWEEP_S
    while (left := children()) and time.monotonic() < until:
        for pid in left:
            kill_group(pid)
        time.sleep(0.002)
    return len(left)


def reaped() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def children() -> list[int]:
    """Return who is a child of this process now, orphans that fell to it among them."""
    if not IS_LINUX:
        return []
    while reaped():
        pass
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            except OSError:
                continue
            if int(words[1]) == os.getpid():
                found.append(int(entry.name))
    return found


if __name__ == "__main__":
    sys.exit(main())
