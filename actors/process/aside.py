"""An errand in a process of its own: work on a file that would hold up the loop, and may run away (T4).

The file is the process's standard input, and it has no other way in: what comes back is one JSON object. A process that
takes too long is killed, whoever asked, with every process that it began; one that takes too much memory ends itself,
and so does one whose kernel was killed before it could.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from math import ceil
from typing import IO, Final

import attrs
import trio

from helm.contracts.form import JSONValue
from helm.crypto.canonical import record_bytes, reread

PROGRAM: Final = "import sys; sys.path[:] = {path!r}; from {module} import serve; serve()"

Answer = dict[str, JSONValue]


class Unfinished(Exception):
    """The errand took longer, or more memory, than it may; or its process was killed."""


@attrs.frozen(kw_only=True)
class Bound:
    """What one errand may take."""

    wall_s: float
    memory_mib: int


async def run(module: str, asked: Mapping[str, JSONValue], file: IO[bytes], bound: Bound) -> Answer:
    """Have the `serve` of a module do what is asked, with `file` from its first byte on; return its answer.

    Raises Unfinished.
    """
    file.flush()
    file.seek(0)
    said = record_bytes({"asked": dict(asked), "cpu_s": ceil(bound.wall_s), "memory_mib": bound.memory_mib}).decode()
    line = [sys.executable, "-c", PROGRAM.format(path=sys.path, module=module), said]
    with trio.move_on_after(bound.wall_s) as scope:
        begun = partial(trio.run_process, stdin=file, capture_stdout=True, stderr=subprocess.DEVNULL, check=False)
        done = await begun(line, start_new_session=True, deliver_cancel=killed)
    if scope.cancelled_caught or done.returncode != 0:
        raise Unfinished
    answer: Answer = reread(done.stdout)
    return answer


async def killed(process: trio.Process) -> None:
    """End an errand that nobody waits for any more, with whatever it began: the session is its own."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
