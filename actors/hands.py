"""The executor's hands: tasks that wait for an effect each, and one watch over the deadlines of all of them.

A deadline of Trio's own costs more than the rest of a short effect: nearly every effect ends long before its deadline,
and the watch looks only when the earliest one that it knew of has come. So does a task of its own for an effect that
never waits: one hand runs such effects one after the other, and whatever waits has its hand for itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Generator, Sequence
from types import coroutine
from typing import Any, NoReturn, TypeVar

import attrs
import trio
from trio.lowlevel import Abort, RaiseCancelT

from actors.mailbox import Case
from helm.contracts.errors import Broken
from helm.guardian.lasting import Withdrawn

T = TypeVar("T")


@attrs.define(eq=False)
class Hand:
    """One task that runs effects: what it holds, and until when it may take."""

    patience: trio.CancelScope = attrs.field(factory=trio.CancelScope)
    until: float = math.inf
    """Trio time at which its effect is over at the latest; inf while it has none."""
    case: Case | None = None
    """What it runs, until it is done with it."""
    left: list[Case] = attrs.field(factory=list)
    """What it was given beside that and has not begun, the next one last."""
    withdrawn: Withdrawn | None = None
    """Why its effect may not go on, None while it may."""
    task: trio.lowlevel.Task | None = None

    def let_go(self) -> list[Case]:
        """Return what it has not begun, oldest first, and hold none of it any more."""
        left, self.left = self.left[::-1], []
        return left


@attrs.define(eq=False)
class Hands:
    """Gives cases to an idle hand, the one that was busy last first: what it needs is still in the caches."""

    _all: list[Hand] = attrs.field(factory=list, init=False, repr=False)
    _idle: list[Hand] = attrs.field(factory=list, init=False, repr=False)
    _look_at: float = attrs.field(default=math.inf, init=False)
    _nap: trio.CancelScope = attrs.field(factory=trio.CancelScope, init=False)

    def give(self, cases: Sequence[Case]) -> bool:
        """Let one idle hand run the effects of `cases`, in order; say False where there is none. Never waits."""
        if not self._idle:
            return False
        hand = self._idle.pop()
        hand.left = [*reversed(cases)]
        if hand.task is None:
            raise Broken("an idle hand without a task")
        trio.lowlevel.reschedule(hand.task)
        return True

    async def next_case(self, hand: Hand) -> Case:
        """Return what `hand` has to run next; wait for it, in the hand's own task, where nothing is left."""
        if not hand.left:
            await self._wait(hand)
        hand.case = hand.left.pop()
        return hand.case

    async def _wait(self, hand: Hand) -> None:
        if hand.task is None:
            hand.task = trio.lowlevel.current_task()
            self._all.append(hand)
        self._idle.append(hand)

        def leave(_: RaiseCancelT) -> Abort:
            self._idle.remove(hand)
            return Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(leave)
        if not hand.left:
            raise Broken("a hand was woken for nothing")

    def be_patient(self, hand: Hand, timeout_ms: int) -> None:
        """Cancel what `hand` does once it has taken so long."""
        hand.until = until = trio.current_time() + timeout_ms / 1000
        if until < self._look_at:
            self._look_at = self._nap.deadline = until

    def withdraw(self, why: Callable[[Case], Withdrawn | None]) -> None:
        """Cancel every effect under way for which `why` has an answer."""
        for hand in self._all:
            if hand.case is not None and hand.until < math.inf:
                hand.withdrawn = hand.withdrawn or why(hand.case)
                if hand.withdrawn:
                    hand.patience.cancel()

    async def watch(self) -> NoReturn:
        """Cancel each effect whose time is over, for ever."""
        while True:
            with trio.CancelScope(deadline=self._look_at) as self._nap:
                await trio.sleep_forever()
            now = trio.current_time()
            for hand in self._all:
                if hand.until <= now:
                    hand.until = math.inf
                    hand.patience.cancel()
            self._look_at = min((hand.until for hand in self._all), default=math.inf)


@coroutine
def in_sight(effect: Coroutine[Any, Any, T], waits: Callable[[], None]) -> Generator[Any, Any, T]:
    """Run `effect` in this task like `await`, and call `waits` when it is about to wait for the first time."""
    try:
        trap = effect.send(None)
        waits()
        while True:
            trap = effect.send((yield trap))
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
