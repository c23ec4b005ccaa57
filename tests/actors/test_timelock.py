"""What waits for a human is parked once, ends at its deadline, and is not forgotten by a restart."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from actors.commanding import CONTROL_PLACES
from actors.commands.sessions import OpenSession
from actors.kernel import Kernel
from actors.mailbox import Overloaded
from actors.timelock import AT_ONCE
from helm.contracts.reason import ReasonCode
from helm.guardian.intake import Caller, Terms
from tests.actors.kit import House, settle

pytestmark = pytest.mark.every_store


def states(kernel: Kernel) -> list[str]:
    return [ceremony.state for ceremony in kernel.memory.approvals.ceremonies.values()]


async def test_the_same_intent_is_parked_once_and_keeps_its_deadline(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel() as kernel:
        first = await kernel.call("asking", {"n": 1})
        await trio.sleep(300)
        again = await kernel.call("asking", {"n": 1})
        other = await kernel.call("asking", {"n": 2})
        assert first.approval_id == again.approval_id != other.approval_id
        assert first.receipt != again.receipt  # each asking has its receipt
        await trio.sleep(301)
        assert states(kernel) == ["EXPIRED", "PENDING"]


async def test_one_that_expired_can_be_asked_for_again(house: House, autojump_clock: trio.testing.MockClock) -> None:
    async with house.kernel() as kernel:
        await kernel.call("asking", {})
        await trio.sleep(601)
        assert states(kernel) == ["EXPIRED"]
        await kernel.call("asking", {})
        assert states(kernel) == ["EXPIRED", "PENDING"]
        await trio.sleep(599)
        assert states(kernel) == ["EXPIRED", "PENDING"]
        await trio.sleep(2)
        assert states(kernel) == ["EXPIRED", "EXPIRED"]


async def test_an_approval_id_alone_opens_nothing(house: House, autojump_clock: trio.testing.MockClock) -> None:
    async with house.kernel() as kernel:
        asked = await kernel.call("asking", {})
        again = await kernel.call("asking", {}, terms=Terms(approval_id=asked.approval_id))
        assert again.reason_code == ReasonCode.APPROVAL_REQUIRED


async def test_deadlines_survive_a_restart(house: House, autojump_clock: trio.testing.MockClock) -> None:
    async with house.kernel() as kernel:
        await kernel.call("asking", {"n": 1})
        await kernel.call("counted", {})
    async with house.kernel() as kernel:
        assert states(kernel) == ["PENDING"]
        await trio.sleep(601)
        assert states(kernel) == ["EXPIRED"]
    async with house.kernel() as kernel:
        rows = len(house.disk.rows)
        await settle()
        assert (states(kernel), len(house.disk.rows)) == (["EXPIRED"], rows)


async def test_one_whose_time_passed_while_no_kernel_ran_expires_at_the_start(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel() as kernel:
        await kernel.call("asking", {})
    house.clock.advance(3600)
    async with house.kernel() as kernel:
        await settle()
        assert states(kernel) == ["EXPIRED"]
    _, log = await house.read_simulated()
    assert log.events[-2:] == ["KERNEL_STARTED", "APPROVALS_EXPIRED"]  # the kernel's own word comes first


async def test_a_clock_that_is_set_forward_is_noticed_within_a_minute(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel() as kernel:
        await kernel.call("asking", {})
        house.clock.advance(600)
        await trio.sleep(61)
        assert states(kernel) == ["EXPIRED"]


async def test_a_clock_that_is_set_back_ends_nothing_early(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel() as kernel:
        await kernel.call("asking", {})
        house.clock.advance(-300)
        await trio.sleep(601)
        assert states(kernel) == ["PENDING"]
        await trio.sleep(301)
        assert states(kernel) == ["EXPIRED"]


async def test_a_belt_full_of_commands_does_not_end_the_timelock(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel() as kernel, trio.open_nursery() as callers:
        await kernel.call("asking", {})
        house.disk.hang()
        for number in range(CONTROL_PLACES):
            caller = Caller(tenant="t", principal="p", session_id=f"s{number}")
            callers.start_soon(kernel.command, OpenSession(caller))
        await settle()
        with pytest.raises(Overloaded):
            await kernel.command(OpenSession(Caller(tenant="t", principal="p", session_id="late")))
        await trio.sleep(700)  # the deadline passes now
        house.disk.resume()
        await settle()
        assert states(kernel) == ["EXPIRED"]
        assert (await kernel.call("read", {})).allowed


async def test_an_intent_that_is_asked_for_again_and_again_has_one_deadline(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel() as kernel:
        asked = await kernel.call("asking", {})
        for _ in range(20):
            await kernel.call("asking", {})
        assert len(kernel.timelock._deadlines) == 1
        await trio.sleep(601)
        assert states(kernel) == ["EXPIRED"]
    (event,) = [body for body in house.disk.rows if b"APPROVALS_EXPIRED" in body]
    assert event.count(asked.approval_id.encode()) == 1


async def test_waits_that_end_together_end_in_events_that_the_next_start_reads_back(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel() as kernel:
        for n in range(AT_ONCE + 1):
            await kernel.call("asking", {"n": n})
    house.clock.advance(3600)
    async with house.kernel() as kernel:
        await settle()
        assert set(states(kernel)) == {"EXPIRED"}
    _, log = await house.read_simulated()
    assert log.events.count("APPROVALS_EXPIRED") == 2
