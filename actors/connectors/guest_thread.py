"""The thread of one cell: it stays, and has its guests one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable

import attrs

IDLE_S = 10.0
"""How long a thread waits for its next guest before it ends: as long as one of Trio's."""


def held_lock() -> threading.Lock:
    """Return a lock that can be had once it is released."""
    lock = threading.Lock()
    lock.acquire()
    return lock


@attrs.define(eq=False)
class GuestThread:
    """One thread, started when it is first needed, and again where it ended because nobody needed it."""

    _work: Callable[[], None] | None = attrs.field(default=None, init=False)
    _given: threading.Lock = attrs.field(factory=held_lock, init=False)
    """Released when there is work."""
    _door: threading.Lock = attrs.field(factory=threading.Lock, init=False)
    """Held by whoever gives work, and by the thread when it goes."""
    _is_there: bool = attrs.field(default=False, init=False)

    def begin(self, work: Callable[[], None]) -> None:
        """Have `work` done after what was begun before, which must be nearly done. It raises nothing.

        Raises RuntimeError where the machine has no thread.
        """
        with self._door:
            if not self._is_there:
                threading.Thread(target=self._run, name="guest", daemon=True).start()
                self._is_there = True
            self._work = work
            self._given.release()

    def _run(self) -> None:
        while self._given.acquire(timeout=IDLE_S) or not self._goes():
            work, self._work = self._work, None
            if work is not None:
                work()
            del work  # it holds a guest's answer

    def _goes(self) -> bool:
        """Tell whether the thread goes: work that was given at the last moment is still done."""
        with self._door:
            self._is_there = self._given.acquire(blocking=False)
            return not self._is_there
