"""Supervision: what a failure does, what ends first, and what falls silent last.

Trio cancels a whole tree at once; the signer and the appender are shielded so that they fall silent last, when every
case that has an intent has its receipt, or after one bounded grace. After any failure nothing is restarted in here:
the state is unknown, the kernel ends, and a fresh one reads the journal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import attrs
import trio
from trio.lowlevel import enable_ki_protection

from actors.mailbox import KernelStopped
from helm.contracts.errors import Broken

Run = Callable[[], Awaitable[Any]]


@attrs.define(eq=False)
class Supervision:
    """How the offices of one kernel run and end. What `takes_calls` says is all that a call looks at."""

    grace_s: float
    """How long the last words may take."""
    owes: Callable[[], bool]
    """Tells whether anything is left that must be written."""
    stopped: Callable[[], None]
    """Told that the kernel is to end: nothing is begun from then on."""
    takes_calls: bool = attrs.field(default=False, init=False)
    draining: bool = attrs.field(default=False, init=False)
    """Whether no more calls are taken, while those in flight go on as ever."""
    stopping: bool = attrs.field(default=False, init=False)
    """Whether the kernel has been told to end."""
    broken: BaseException | None = attrs.field(default=None, init=False)
    """What broke it, the first of them."""
    last_words: trio.CancelScope = attrs.field(init=False)
    opened: trio.Event = attrs.field(factory=trio.Event, init=False)
    """Set once calls are let in: what has something to say by itself waits for it."""

    @last_words.default
    def _shielded(self) -> trio.CancelScope:
        return trio.CancelScope(shield=True)

    def open(self) -> None:
        """Let calls in: everything owed from before is sealed."""
        self.takes_calls = not self.ending and self.broken is None
        self.opened.set()

    @property
    def ending(self) -> bool:
        """Whether whoever comes now comes too late."""
        return self.draining or self.stopping

    def drain(self) -> None:
        """Take no more calls; what is in flight is neither hurried nor ended."""
        self.takes_calls = False
        self.draining = True

    def check_running(self) -> None:
        """Raise KernelStopped unless the kernel is deciding."""
        if self.ending or self.broken is not None:
            raise KernelStopped

    def fail(self, failure: BaseException) -> None:
        """Note what broke the kernel; whoever broke raises it as well, and everything ends."""
        self.takes_calls = False
        self.broken = self.broken or failure

    def stop(self) -> None:
        """Take no more calls, and begin nothing."""
        self.takes_calls = False
        self.stopping = True
        self.stopped()

    def maybe_fall_silent(self) -> None:
        """End the last words once nothing is owed: what the guardian never came to was neither judged nor obeyed."""
        if self.stopping and not self.owes():
            self.last_words.cancel()

    @enable_ki_protection
    async def office(self, run: Run, name: str) -> None:
        """Run what never returns; what it raises ends the kernel."""
        await self.errand(run)
        raise Broken(f"the {name} returned")

    @enable_ki_protection
    async def after_opening(self, run: Run, name: str) -> None:
        """Run an office whose first word must not come before the kernel's own."""
        await self.opened.wait()
        await self.office(run, name)

    @enable_ki_protection
    async def errand(self, run: Run) -> None:
        """Run what has an end; like an office, it ends the kernel with itself if it breaks."""
        try:
            await run()
        except trio.Cancelled:
            raise
        except BaseException as failure:
            self.fail(failure)
            raise

    @enable_ki_protection
    async def last(self, offices: Mapping[str, Run], task_status: trio.TaskStatus[None]) -> None:
        """Run what falls silent last, under the shield."""
        with self.last_words:
            async with trio.open_nursery() as nursery:
                for name, run in offices.items():
                    nursery.start_soon(self.office, run, name)
                task_status.started()

    @enable_ki_protection
    async def sentinel(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Notice the end of the work, whatever ends it, and start the grace of the last words."""
        try:
            task_status.started()
            await trio.sleep_forever()
        finally:
            self.stop()
            self.last_words.deadline = trio.current_time() + self.grace_s
            self.maybe_fall_silent()
