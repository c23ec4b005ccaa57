"""What a task asks of a thread, waited for without freezing the loop."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

import attrs
import trio
import trio.testing

PATIENCE_S = 0.002
"""How long the task blocks the whole loop for its answer. The largest batch is on a healthy disk within it, and
the thread runs without a fight for the interpreter's lock; a hung disk costs the loop no more than this."""


def _held_lock() -> threading.Lock:
    lock = threading.Lock()
    lock.acquire()
    return lock


@attrs.define(eq=False)
class Errand:
    """One thing to be done by a thread, for tasks of one loop."""

    _unfinished: threading.Lock = attrs.field(factory=_held_lock, init=False)
    _unbegun: threading.Lock = attrs.field(factory=_held_lock, init=False)
    _is_begun: bool = attrs.field(default=False, init=False)
    is_done: bool = attrs.field(default=False, init=False)
    _bells: list[tuple[trio.lowlevel.TrioToken, trio.Event]] = attrs.field(factory=list, init=False)

    def finish(self) -> None:
        """Say that it is done. A task that left, or a loop that has ended, is nobody to tell. Idempotent."""
        if self.is_done:
            return
        self.is_done = True
        self.begin()
        self._unfinished.release()
        for token, event in self._bells:
            with suppress(trio.RunFinishedError):
                token.run_sync_soon(event.set)

    def begin(self) -> None:
        """Say that the thread is about to leave the interpreter's lock to others for a while. Idempotent."""
        if not self._is_begun:
            self._is_begun = True
            self._unbegun.release()

    async def wait_beside(self, meanwhile: Callable[[], None]) -> None:
        """Return when it is done; until nothing else is left to do, `meanwhile` and everything else go on.

        Where the thread could not begin, it would wait for the interpreter's lock as long as the loop is busy: so the
        loop stands still until it has.
        """
        if self._unbegun.acquire(timeout=PATIENCE_S):
            meanwhile()
            with trio.move_on_after(PATIENCE_S):
                await trio.testing.wait_all_tasks_blocked()
        await self.wait()

    async def wait(self, patience_s: float = PATIENCE_S) -> None:
        """Return when it is done, at once where it is. A task that is cancelled here leaves the thread at its work."""
        if not self._is_done_within(patience_s):
            event = trio.Event()
            self._bells.append((trio.lowlevel.current_trio_token(), event))
            if not self._is_done_within(0):  # else done after patience ended, before the bell hung
                await event.wait()

    def _is_done_within(self, seconds: float) -> bool:
        is_done = self._unfinished.acquire(timeout=seconds)
        if is_done:
            self._unfinished.release()  # done stays done, for whoever else waits
        return is_done
