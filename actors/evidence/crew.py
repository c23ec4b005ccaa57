"""Processes that check signatures for a verification in this one, as many as there are cores to spare.

They begin at the last shard of receipts, the verifier comes from the first one, and nobody waits: what they have not
proven when it gets there, it checks itself. So a process that is slow, dies, or may not be started, costs nothing but
its help.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from threading import Thread
from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.canonical import record_bytes, reread
from helm.evidence.proven import Helpers, Keys, Proven, nothing, prove

MOST: Final = 7
"""Most processes beside the verifier's own: with more of them they would wait for it (T4)."""

WORTH_IT: Final = 4
"""Fewer shards of receipts are checked before a process has started."""

NOBODY: Final = b"-"

PROGRAM: Final = "import sys; sys.path[:] = {path!r}; from actors.evidence.crew import serve; serve()"


@attrs.define
class Crew:
    """So many helpers, who come when there is work."""

    count: int
    worth_it: int = WORTH_IT
    _shards: list[str] = attrs.field(factory=list, init=False, repr=False)
    """The paths of those that nobody has begun."""
    _proven: dict[str, Sequence[str]] = attrs.field(factory=dict, init=False, repr=False)
    _hands: list[tuple[subprocess.Popen[bytes], Thread]] = attrs.field(factory=list, init=False, repr=False)

    def start(self, receipts: Mapping[str, bytes], keys: Keys) -> Proven:
        """Hand the shards out, the last ones first; where they are too few, prove nothing."""
        if len(receipts) < self.worth_it:
            return nothing
        self._shards = [*receipts]
        said = record_bytes(dict(keys))
        for _ in range(self.count):
            with suppress(OSError):  # also where whoever started this process forbids it to start others
                self._take_on(said, receipts)
        return self._found

    def _found(self, path: str) -> Sequence[str]:
        """Return what was found in a shard that the verifier is about to read: nobody need begin it any more."""
        with suppress(ValueError):
            self._shards.remove(path)
        return self._proven.pop(path, ())

    def _take_on(self, keys: bytes, receipts: Mapping[str, bytes]) -> None:
        line = [sys.executable, "-c", PROGRAM.format(path=sys.path)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen(line, **pipes)  # type: ignore[call-overload]  # noqa: S603 - this very module
        thread = Thread(target=self._feed, args=(process, keys, receipts), daemon=True)
        thread.start()
        self._hands.append((process, thread))

    def _feed(self, process: subprocess.Popen[bytes], keys: bytes, receipts: Mapping[str, bytes]) -> None:
        """Give one process errand after errand, until there is none, or it fails."""
        asked, answers = process.stdin, process.stdout
        if asked is None or answers is None:
            return
        with suppress(OSError, ValueError, IndexError, Invalid):  # it was sent home; nothing is left; it was altered
            asked.write(keys + b"\n")
            while True:
                path = self._shards.pop()
                asked.write(b"%d\n" % len(raw := receipts[path]) + raw)
                asked.flush()
                found = answers.readline().split()
                self._proven[path] = ["" if key == NOBODY else sys.intern(key.decode()) for key in found]

    def finish(self, timeout_s: float) -> None:
        """Wait until everything is done, no longer than this for each helper."""
        for _, thread in self._hands:
            thread.join(timeout_s)

    def leave(self) -> None:
        """Send everybody home."""
        self._shards = []
        for process, thread in self._hands:
            process.kill()
            thread.join()
            process.communicate()
        self._hands = []


def serve() -> None:
    """Be a helper: answer each shard on stdin, behind its length, by a line on stdout, one key for each receipt."""
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    keys = reread(asked.readline())
    for length in asked:
        shard = asked.read(int(length))
        found = [key.encode() or NOBODY for key in prove(shard.split(b"\n")[:-1], keys)]
        answers.write(b" ".join(found) + b"\n")
        answers.flush()


@contextmanager
def crew(count: int | None = None) -> Iterator[Helpers | None]:
    """Have so many helpers in the body, one less than there are cores where none are counted; None for no helper."""
    helpers = min(MOST, len(os.sched_getaffinity(0)) - 1 if count is None else count)
    if helpers < 1:
        yield None
        return
    hands = Crew(helpers)
    try:
        yield hands
    finally:
        hands.leave()
