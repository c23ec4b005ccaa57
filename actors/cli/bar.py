"""A bar for what takes longer than a second, on a terminal only."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

import attrs

PATIENCE_S = 1.0
"""What is done before then needs no bar."""

EVERY_S = 0.1
CELLS = 30


@attrs.define
class Bar:
    """How far a piece of work has come. `move` may be called as often as there is something done."""

    what: str
    out: TextIO = attrs.field(factory=lambda: sys.stderr)
    _next: float = attrs.field(factory=lambda: time.monotonic() + PATIENCE_S, init=False)
    _drawn: bool = attrs.field(default=False, init=False)

    def move(self, done: int, total: int) -> None:
        """Say that `done` of `total` are done."""
        now = time.monotonic()
        if now < self._next or not total or not self.out.isatty():
            return
        self._next = now + EVERY_S
        full = CELLS * done // total
        self.out.write(f"\r{self.what}  {'█' * full}{'░' * (CELLS - full)}  {done:,} of {total:,}")
        self.out.flush()
        self._drawn = True

    def clear(self) -> None:
        """Take the bar away, so that what follows stands in an empty line."""
        if self._drawn:
            self.out.write("\r\x1b[2K")
            self.out.flush()


@contextmanager
def bar(what: str) -> Iterator[Bar]:
    """Show a bar while the body runs, if that takes long enough."""
    shown = Bar(what)
    try:
        yield shown
    finally:
        shown.clear()
