"""Processes that check signatures for a verification in this one, as many as there are cores to spare.

They begin at the last receipt, the verifier comes from the first one, and nobody waits: what they have not proven when
it gets there, it checks itself. So a process that is slow, dies, or may not be started, costs nothing but its help.
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

from helm.crypto.canonical import record_bytes, reread
from helm.evidence.proven import Helpers, Keys, Proven, nothing, prove

MOST: Final = 7
"""Most processes beside the verifier's own: with more of them they would wait for it (T4)."""

BATCH: Final = 128
"""Receipts in one errand: some milliseconds, so that little is done twice where the two meet."""

WORTH_IT: Final = 4_000
"""Fewer receipts are checked before a process has started."""

NOBODY: Final = b"-"

PROGRAM: Final = "import sys; sys.path[:] = {path!r}; from actors.crew import serve; serve()"

Batch = Sequence[str]
"""The paths of receipts."""


@attrs.define
class Crew:
    """So many helpers, who come when there is work."""

    count: int
    worth_it: int = WORTH_IT
    _batches: list[Batch] = attrs.field(factory=list, init=False, repr=False)
    _proven: dict[str, str] = attrs.field(factory=dict, init=False, repr=False)
    _hands: list[tuple[subprocess.Popen[bytes], Thread]] = attrs.field(factory=list, init=False, repr=False)

    def start(self, receipts: Mapping[str, bytes], keys: Keys) -> Proven:
        """Hand the receipts out, the last ones first; where they are too few, prove nothing."""
        if len(receipts) < self.worth_it:
            return nothing
        paths = [*receipts]
        self._batches = [paths[begin : begin + BATCH] for begin in range(0, len(paths), BATCH)]
        said = record_bytes(dict(keys))
        for _ in range(self.count):
            with suppress(OSError):  # also where whoever started this process forbids it to start others
                self._take_on(said, receipts)
        return lambda path: self._proven.get(path, "")

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
        with suppress(OSError, ValueError, IndexError):  # it was sent home; nothing is left
            asked.write(keys + b"\n")
            while True:
                batch = [(path, receipts[path]) for path in self._batches.pop()]
                batch = [(path, raw) for path, raw in batch if raw and b"\n" not in raw]
                asked.write(b"\n".join([*(raw for _, raw in batch), b"", b""]))
                asked.flush()
                found = answers.readline().split()
                self._proven.update(
                    (path, key.decode()) for (path, _), key in zip(batch, found, strict=True) if key != NOBODY
                )

    def finish(self, timeout_s: float) -> None:
        """Wait until everything is done, no longer than this for each helper."""
        for _, thread in self._hands:
            thread.join(timeout_s)

    def leave(self) -> None:
        """Send everybody home."""
        self._batches = []
        for process, thread in self._hands:
            process.kill()
            thread.join()
            process.communicate()
        self._hands = []


def serve() -> None:
    """Be a helper: answer each errand on stdin by a line on stdout, one key for each receipt."""
    asked, answers = sys.stdin.buffer, sys.stdout.buffer
    keys = reread(asked.readline())
    batch: list[bytes] = []
    for line in asked:
        if line != b"\n":
            batch.append(line[:-1])
            continue
        found = [key.encode() or NOBODY for key in prove(batch, keys)]
        answers.write(b" ".join(found) + b"\n")
        answers.flush()
        batch = []


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
