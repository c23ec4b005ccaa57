"""A batch that the loop writes by itself; whoever comes first, the loop or the thread, takes note of its end."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable

import attrs

from actors.stores.segments.frame import Header
from actors.stores.segments.submission import Submissions


@attrs.define(eq=False)
class Flight:
    """One frame under way. It holds the book until it ends."""

    header: Header
    size: int
    queue: Submissions
    _land: Callable[[Header, OSError | None], None]
    """Told once, by whoever finds out: the error, or None where the frame is on the disk."""
    is_done: bool = attrs.field(default=False, init=False)
    is_written: bool = attrs.field(default=False, init=False)
    _finding_out: threading.Lock = attrs.field(factory=threading.Lock, init=False)

    def finish(self) -> None:
        """Wait for the end, in the thread; then the loop hears of it. Idempotent."""
        with self._finding_out:
            self._look(wait=True)
        os.eventfd_write(self.queue.event, 1)  # the loop may have looked while the lock was taken

    def look(self) -> bool:
        """Tell whether it has ended, without waiting for anything."""
        if not self.is_done and self._finding_out.acquire(blocking=False):
            try:
                self._look(wait=False)
            finally:
                self._finding_out.release()
        return self.is_done

    def _look(self, *, wait: bool) -> None:
        if self.is_done:
            return
        problem = None
        try:
            taken = self.queue.collect(wait=wait)
            if taken is None:
                return
            if taken != self.size:
                problem = OSError(errno.EIO, f"{taken} of {self.size} bytes were written")
        except OSError as error:
            problem = error
        self.is_written, self.is_done = problem is None, True
        self._land(self.header, problem)
