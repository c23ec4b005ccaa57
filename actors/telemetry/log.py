"""The log: lines that leave by a thread of their own. Whoever has something to say never waits for a disk."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import attrs

from actors.losses import Losses
from actors.observing import Ended
from actors.process.events import CONNECTION_FAILED
from actors.telemetry.line import MESSAGE, Line, Words, of_call, of_record, plain
from actors.telemetry.satchel import Satchel

MAX_WAITING: Final = 16_384
"""Lines that wait to be written; more are lost, and counted (T4)."""

TOGETHER: Final = 256
"""Lines in one write."""

FLUSH_S: Final = 0.2
"""The longest that a line waits for others."""

LAST_WORDS_S: Final = 3.0
"""How long the end of the program waits for the last lines."""

SILENT: Final = frozenset({"client", "mcp"})
"""Loggers of the MCP SDK: what they say without being asked is of servers, and of no use to whoever sits there."""

SPOKEN: Final = frozenset({MESSAGE, CONNECTION_FAILED})
"""What nobody but a log, or whoever reads stderr, is told of; each command says its other events itself."""

MODE: Final = 0o600
"""Who called what is for whoever runs HELM."""


@attrs.define(eq=False)
class Log:
    """A bounded queue of lines before one file, or before stderr."""

    path: Path | None
    """None for stderr."""
    words: Words
    losses: Losses
    last_words_s: float = LAST_WORDS_S
    _satchel: Satchel[Ended | Line] = attrs.field(init=False, repr=False)
    _file: int = attrs.field(default=-1, init=False)

    @_satchel.default
    def _empty(self) -> Satchel[Ended | Line]:
        return Satchel("helm-log", MAX_WAITING, TOGETHER, self.last_words_s)

    def take(self, ended: Ended) -> None:
        """Take the line about a call; called by the office that answers."""
        if not self._satchel.put(ended):
            self.losses.calls_refused += 1

    def take_line(self, said: Line) -> None:
        """Take any other line; called by one thread at a time."""
        if not self._satchel.put(said):
            self.losses.lines_refused += 1

    @contextmanager
    def running(self) -> Iterator[None]:
        """Write for as long as the body runs, and a moment longer. Raises OSError where the file cannot be opened."""
        self._open()
        with self._satchel.carried(self.run):
            yield

    def run(self) -> None:
        """Write until closed. What still waits then is written first."""
        while True:
            is_last = self._satchel.wait(FLUSH_S)
            for said in self._satchel.batches():
                self._write(said)
            if is_last:
                self._close()
                return

    def _write(self, said: list[Ended | Line]) -> None:
        lines = [self.words.line(of_call(one) if isinstance(one, Ended) else one) for one in said]
        try:
            self._reopen()
            left = memoryview(b"".join(lines))
            while left:
                left = left[os.write(self._file, left) :]
        except OSError:
            self.losses.lines_unwritten += len(lines)

    def _open(self) -> None:
        if self.path is None:
            self._file = sys.stderr.fileno()
        else:
            self._file = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, MODE)

    def _reopen(self) -> None:
        """Follow a file that was moved away, as whatever rotates logs does."""
        if self.path is None:
            return
        held = os.fstat(self._file)
        try:
            named = os.stat(self.path)
        except FileNotFoundError:
            named = None
        if named is None or (named.st_dev, named.st_ino) != (held.st_dev, held.st_ino):
            os.close(self._file)
            self._open()

    def _close(self) -> None:
        if self.path is not None:
            os.close(self._file)


class Structured(logging.Handler):
    """Hands what this program and its libraries say to a log."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Take one message."""
        self._log.take_line(of_record(record, self._log.words))


class Spoken(logging.Handler):
    """Says warnings on stderr, a line each, where no log was asked for. What is told otherwise is not said twice."""

    def __init__(self, words: Words) -> None:
        super().__init__()
        self._words = words

    def emit(self, record: logging.LogRecord) -> None:
        """Say one message."""
        said = of_record(record, self._words)
        if said["event"] in SPOKEN and record.levelno >= logging.WARNING and record.name.split(".")[0] not in SILENT:
            about = [f"({said['connector']})"] if "connector" in said else []
            kinds = [str(one["type"]) for one in said.get("failures", ())]
            try:
                sys.stderr.write(plain([str(said["message"]), *about, *kinds]) + "\n")
            except OSError:  # nobody reads it any more
                pass


@contextmanager
def listening(handler: logging.Handler) -> Iterator[None]:
    """Let a handler hear everything that is said in this process for as long as the body runs."""
    root, ours = logging.getLogger(), logging.getLogger("helm")
    before = ours.level
    root.addHandler(handler)
    ours.setLevel(logging.INFO)
    try:
        yield
    finally:
        ours.setLevel(before)
        root.removeHandler(handler)
