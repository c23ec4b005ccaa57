"""A connector is attended once, however often it is plugged in, and not for ever after it was replaced (T4)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from actors.connectors.attendance import LINGER_S, Attendance
from actors.connectors.port import Report
from actors.connectors.uses import Uses
from tests.actors.kit import House
from tests.actors.puppet import Puppet


@attrs.define(eq=False)
class Kept(Puppet):
    """A connector with something that runs."""

    running: int = 0
    begun: int = 0

    async def attend(self, report: Any) -> None:
        """Run until cancelled."""
        self.begun += 1
        self.running += 1
        try:
            await trio.sleep_forever()
        finally:
            self.running -= 1


@attrs.define(eq=False)
class Slow(Kept):
    """One that takes its time to end."""

    may_end: trio.Event = attrs.field(factory=trio.Event)
    most: int = 0
    closed_while_running: int = 0

    async def attend(self, report: Any) -> None:
        """Run until cancelled, and until it may end."""
        try:
            self.most = max(self.most, self.running + 1)
            await super().attend(report)
        finally:
            self.running += 1
            with trio.CancelScope(shield=True):
                await self.may_end.wait()
            self.running -= 1

    async def aclose(self) -> None:
        """Count how often it was closed, and how often too early."""
        self.closed_while_running += self.running
        await super().aclose()


@attrs.define(eq=False)
class Drifting(Kept):
    """One that reports a drift whenever a test says so."""

    report: Any = None

    async def attend(self, report: Any) -> None:
        """Remember to whom it is reported."""
        self.report = report
        await super().attend(report)


async def untold(*_: str) -> None:
    """Nobody drifts here."""


@asynccontextmanager
async def attendance(uses: Uses | None = None, report: Report = untold) -> AsyncIterator[Attendance]:
    async with trio.open_nursery() as nursery:
        yield Attendance(nursery, report, uses or Uses(), Kept.aclose)  # type: ignore[arg-type]
        nursery.cancel_scope.cancel()


async def test_what_is_plugged_in_again_is_not_started_again() -> None:
    one = Kept()
    async with attendance() as attending:
        for _ in range(3):
            attending.turn_to({"one": one, "the same": one})
            await trio.testing.wait_all_tasks_blocked()
        assert (one.begun, one.running) == (1, 1)


async def test_what_is_replaced_ends_with_its_last_effect_and_not_before() -> None:
    old, new, uses = Kept(), Kept(), Uses()
    async with attendance(uses) as attending:
        attending.turn_to({"one": old})
        uses.begin(old)
        uses.begin(old)
        await trio.testing.wait_all_tasks_blocked()
        attending.turn_to({"one": new})
        uses.begin(new)
        for still_running in (1, 1, 0):
            await trio.testing.wait_all_tasks_blocked()
            assert (old.running, old.closed) == (still_running, 1 - still_running)
            assert (new.running, new.closed) == (1, 0)
            if still_running:
                uses.end(old)


async def test_what_was_replaced_bars_no_tool_of_what_stands_there_now() -> None:
    """It goes on with its last calls and is still compared with its pins, which are those of an older policy."""
    old, new, uses, told = Drifting(), Drifting(), Uses(), list[tuple[str, ...]]()

    async def report(*said: str) -> None:
        told.append(said)

    async with attendance(uses, report) as attending:
        attending.turn_to({"small": old})
        uses.begin(old)
        await trio.testing.wait_all_tasks_blocked()
        await old.report("small", "say", "before")
        attending.turn_to({"small": new})
        await trio.testing.wait_all_tasks_blocked()
        await old.report("small", "say", "later")
        await new.report("small", "say", "of the new one")
        assert old.running == 1
        attending.turn_to({"small": old})
        await old.report("small", "say", "back again")
    assert told == [("small", "say", one) for one in ("before", "of the new one", "back again")]


async def test_what_is_idle_ends_as_it_is_replaced() -> None:
    old = Kept()
    async with attendance() as attending:
        attending.turn_to({"one": old})
        await trio.testing.wait_all_tasks_blocked()
        attending.turn_to({})
        await trio.testing.wait_all_tasks_blocked()
        assert (old.running, old.closed) == (0, 1)


async def test_an_effect_that_never_ends_keeps_nothing_running_for_ever(
    autojump_clock: trio.testing.MockClock,
) -> None:
    old, new, uses = Kept(), Kept(), Uses()
    uses.begin(old)
    async with attendance(uses) as attending:
        attending.turn_to({"one": old})
        await trio.sleep(1)
        attending.turn_to({"one": new})
        await trio.sleep(LINGER_S - 1)
        attending.turn_to({"one": new})  # no reload gives it more time
        assert (old.running, new.running) == (1, 1)
        await trio.sleep(2)
        assert (old.running, new.running) == (0, 1)
        assert old.closed == 0  # it has an order, whatever that still does: it is closed with the kernel


async def test_what_comes_back_stays(autojump_clock: trio.testing.MockClock) -> None:
    one, uses = Kept(), Uses()
    uses.begin(one)
    async with attendance(uses) as attending:
        for connectors in ({"one": one}, {}, {"one": one}):
            attending.turn_to(connectors)
            await trio.sleep(1)
        uses.end(one)
        await trio.sleep(2 * LINGER_S)
        assert (one.begun, one.running, one.closed) == (1, 1, 0)
        attending.turn_to({})
        await trio.sleep(1)
        attending.turn_to({"one": one})
        await trio.testing.wait_all_tasks_blocked()
        assert (one.begun, one.running) == (2, 1)


@pytest.mark.parametrize("turns", [1, 2, 3])
async def test_what_comes_back_before_it_has_ended_is_not_attended_twice_and_ends_no_kernel(turns: int) -> None:
    one = Slow()
    async with attendance() as attending:
        for connectors in ({"one": one}, {}) * turns:
            attending.turn_to(connectors)
            await trio.testing.wait_all_tasks_blocked()
        assert (one.begun, one.running, one.closed) == (1, 1, 0)
        one.may_end.set()
        await trio.testing.wait_all_tasks_blocked()
        assert (one.begun, one.running, one.closed) == (1, 0, 1)
        attending.turn_to({"one": one})
        await trio.testing.wait_all_tasks_blocked()
        assert (one.begun, one.running, one.most, one.closed_while_running) == (2, 1, 1, 0)


async def test_what_comes_back_while_it_ends_is_attended_once_it_has() -> None:
    one = Slow()
    async with attendance() as attending:
        for connectors in ({"one": one}, {}, {"one": one}):
            attending.turn_to(connectors)
            await trio.testing.wait_all_tasks_blocked()
        assert (one.begun, one.running) == (1, 1)
        one.may_end.set()
        await trio.testing.wait_all_tasks_blocked()
        assert (one.begun, one.running, one.most, one.closed) == (2, 1, 1, 0)


async def test_what_came_back_and_left_again_is_given_its_whole_time(autojump_clock: trio.testing.MockClock) -> None:
    one, uses = Kept(), Uses()
    uses.begin(one)
    async with attendance(uses) as attending:
        for connectors in ({"one": one}, {}, {"one": one}, {}):
            attending.turn_to(connectors)
            await trio.sleep(LINGER_S / 2 + 1)
        assert one.running == 1  # the first time that it was given is over by now
        uses.end(one)
        await trio.sleep(1)
        assert one.running == 0


async def test_a_kernel_starts_each_server_of_its_policy_once(house: House) -> None:
    one = Kept()
    async with house.kernel(one):
        await trio.testing.wait_all_tasks_blocked()
        assert (one.begun, one.running) == (1, 1)
    assert one.running == 0
