"""However a kernel ends, nobody is left waiting, and what was begun is sealed or left for the next start."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import attrs
import pytest
import trio
import trio.testing

from actors.connectors.port import Dispatch
from actors.kernel import Kernel
from actors.mailbox import Case, KernelStopped
from actors.opening import break_ground, open_journal
from actors.stores.port import JournalFailed
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Status
from helm.guardian.intake import Caller, admit
from tests.actors.kit import LIMITS, House, Log, Told, settle
from tests.actors.puppet import Deed, Hold, Puppet, done, raising

pytestmark = pytest.mark.every_store

MIB = 1024 * 1024


class Bang(Exception):
    """What goes wrong in the program that embeds the kernel."""


@asynccontextmanager
async def under_way(house: House, puppet: Puppet, told: Told, effects: int = 5) -> AsyncIterator[Kernel]:
    """Run a kernel with `effects` effects that hold, their callers outside of it, and one call being refused."""
    puppet.deed, puppet.awaited = Hold(), effects
    async with trio.open_nursery() as callers, house.kernel(puppet) as kernel:
        for number in range(effects):
            callers.start_soon(told.ask, partial(kernel.call, "read", {}, session=f"s{number}"))
        await puppet.began.wait()
        yield kernel


async def check_sealed(house: House, told: Told, puppet: Puppet) -> Log:
    """Assert that every effect has its outcome and every caller its answer."""
    _, log = await house.read_simulated()
    log.check_all_sealed(shown=told.receipt_ids(), dispatched={order.decision_id for order in puppet.orders})
    assert len(told.answers) == len(puppet.orders) and not told.stopped
    return log


class TestTheBodyEnds:
    """The work ends first; pen and book speak their last words."""

    async def test_effects_under_way_are_sealed_as_unknown(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        puppet, told = Puppet(), Told()
        async with under_way(house, puppet, told):
            pass
        log = await check_sealed(house, told, puppet)
        assert log.statuses() == {"INDETERMINATE": 5}
        assert {answer.reason_code for answer in told.answers} == {ReasonCode.ERR_INDETERMINATE}
        assert puppet.closed == 1

    async def test_the_end_comes_as_soon_as_nothing_is_owed(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        puppet, told = Puppet(), Told()
        async with under_way(house, puppet, told):
            began = trio.current_time()
        assert trio.current_time() - began < LIMITS.grace_s
        assert len(told.answers) == 5

    async def test_an_error_in_the_body_comes_out_bare(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        puppet, told = Puppet(), Told()
        with pytest.raises(ExceptionGroup) as group:  # of the nursery that the callers live in
            async with under_way(house, puppet, told):
                raise Bang
        assert [type(problem) for problem in group.value.exceptions] == [Bang]
        await check_sealed(house, told, puppet)

    async def test_an_error_in_the_body_alone_is_that_error(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        with pytest.raises(Bang):
            async with house.kernel():
                raise Bang

    async def test_a_cancellation_from_outside_seals_what_was_under_way(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        puppet, told = Puppet(), Told()
        with trio.move_on_after(1) as outside:
            async with under_way(house, puppet, told):
                await trio.sleep_forever()
        assert outside.cancelled_caught
        _, log = await house.read_simulated()
        log.check_all_sealed(dispatched={order.decision_id for order in puppet.orders})
        assert log.statuses() == {"INDETERMINATE": 5}

    async def test_ctrl_c_in_the_body_comes_out_as_ctrl_c(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        puppet, told = Puppet(), Told()
        with pytest.raises(BaseExceptionGroup) as group:
            async with under_way(house, puppet, told):
                raise KeyboardInterrupt
        assert [type(problem) for problem in group.value.exceptions] == [KeyboardInterrupt]
        await check_sealed(house, told, puppet)

    async def test_ctrl_c_inside_a_connector_seals_it_and_comes_out_as_ctrl_c(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        puppet = Puppet(raising(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            async with house.kernel(puppet) as kernel:
                await kernel.call("read", {})
        _, log = await house.read_simulated()
        log.check_all_sealed(dispatched={order.decision_id for order in puppet.orders})
        assert log.statuses() == {"INDETERMINATE": 1}

    async def test_a_call_that_comes_in_the_last_moment_is_not_executed(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        puppet, told = Puppet(), Told()
        async with trio.open_nursery() as callers, house.kernel(puppet) as kernel:
            for number in range(3):
                caller = Caller(tenant="t", principal="p", session_id=f"s{number}")
                case = kernel.submit(Case(admit(caller, "read", {})))
                callers.start_soon(told.ask, case.slot.wait)
        assert len(told.stopped) + len(told.answers) == 3 and puppet.orders == []
        assert not any(problem.unknown for problem in told.stopped)
        assert {answer.status for answer in told.answers} <= {Status.NOT_DISPATCHED}
        _, log = await house.read_simulated()
        log.check_all_sealed(shown=told.receipt_ids())

    async def test_an_intent_that_became_durable_too_late_is_not_dispatched(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        puppet, told = Puppet(), Told()
        async with trio.open_nursery() as callers, house.kernel(puppet) as kernel:
            house.disk.commit_seconds = 0.5
            callers.start_soon(told.ask, partial(kernel.call, "read", {}))
            await settle()
        _, log = await house.read_simulated()
        log.check_all_sealed(shown=told.receipt_ids())
        assert [(answer.status, answer.reason_code) for answer in told.answers] == [
            (Status.NOT_DISPATCHED, ReasonCode.KERNEL_STOPPED)
        ]
        assert puppet.orders == []

    async def test_refusals_under_way_get_their_receipts(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        told = Told()
        async with trio.open_nursery() as callers, house.kernel() as kernel:
            house.disk.commit_seconds = 0.5
            for number in range(5):
                callers.start_soon(told.ask, partial(kernel.call, "nope", {}, session=f"s{number}"))
            await settle()
        assert [answer.status for answer in told.answers] == [Status.DENIED] * 5
        assert told.stopped == []


class TestTheDiskHangs:
    """The grace bounds the end, whatever the disk does; what is not known is said to be unknown."""

    @pytest.mark.parametrize("tool", ["read", "nope"])
    async def test_the_end_comes_within_its_grace(
        self, house: House, tool: str, autojump_clock: trio.testing.MockClock
    ) -> None:
        puppet, told = Puppet(), Told()
        began = trio.current_time()
        async with trio.open_nursery() as callers:
            try:
                async with house.kernel(puppet) as kernel:
                    house.disk.hang()
                    callers.start_soon(told.ask, partial(kernel.call, tool, {}))
                    await settle()
            except KernelStopped as problem:
                assert problem.unknown and tool == "read"
            else:
                assert tool == "nope"  # no intent is owed: nothing can have happened
            assert trio.current_time() - began <= 2 * LIMITS.grace_s + 1
        assert [problem.unknown for problem in told.stopped] == [tool == "read"]
        assert puppet.orders == []

    async def test_an_intent_that_waits_behind_a_hung_commit_is_unknown_as_well(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        told = Told()
        async with trio.open_nursery() as callers:
            with pytest.raises(KernelStopped):
                async with house.kernel(Puppet()) as kernel:
                    house.disk.hang()
                    for _ in range(2):
                        callers.start_soon(told.ask, partial(kernel.call, "read", {}))
                        await settle()
        assert [problem.unknown for problem in told.stopped] == [True, True]

    async def test_an_effect_that_ended_on_a_hung_disk_is_sealed_by_the_next_start(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        hold, told = Hold(), Told()
        puppet = Puppet(hold)
        async with trio.open_nursery() as callers:
            with pytest.raises(KernelStopped) as stopped:
                async with house.kernel(puppet) as kernel:
                    callers.start_soon(told.ask, partial(kernel.call, "read", {}))
                    await puppet.began.wait()
                    house.disk.hang()
                    hold.let_go()
                    await settle()
        assert stopped.value.unknown and [problem.unknown for problem in told.stopped] == [True]
        async with house.kernel():
            pass
        _, log = await house.read_simulated()
        log.check_all_sealed(dispatched={order.decision_id for order in puppet.orders})
        assert log.statuses() == {"INDETERMINATE": 1}

    async def test_what_a_start_cannot_seal_is_unknown_to_it_as_well(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        puppet, told = Puppet(Hold()), Told()
        async with trio.open_nursery() as callers:
            with pytest.raises(KernelStopped):
                async with house.kernel(puppet) as kernel:
                    callers.start_soon(told.ask, partial(kernel.call, "read", {}))
                    await puppet.began.wait()
                    house.disk.hang()
        ground = await house.simulated_ground()
        house.disk.fail_at(2)  # behind the start, the outcome of what was left open
        with pytest.raises(KernelStopped) as stopped:
            async with house.kernel(ground=ground):
                raise AssertionError("it takes calls though something is open")
        assert stopped.value.unknown
        async with house.kernel():
            pass
        (await house.read_simulated())[1].check_all_sealed()

    async def test_a_permit_does_not_outlive_its_ten_seconds(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        puppet, told = Puppet(), Told()
        async with house.kernel(puppet) as kernel, trio.open_nursery() as callers:
            house.disk.hang()
            callers.start_soon(told.ask, partial(kernel.call, "read", {}))
            await trio.sleep(10)
            house.disk.resume()
        (answer,) = told.answers
        assert (answer.status, answer.reason_code) == (Status.NOT_DISPATCHED, ReasonCode.POLICY_NOT_READY)
        assert puppet.orders == []


class TestTheDiskFails:
    """A failed commit means unknown, not no: nothing is retried, and everyone is told."""

    @pytest.mark.parametrize("written", [True, False])
    @pytest.mark.parametrize("commit", range(1, 7))
    async def test_wherever_it_fails_no_effect_is_without_its_intent_and_no_receipt_is_lost(
        self, house: House, commit: int, written: bool, autojump_clock: trio.testing.MockClock
    ) -> None:
        puppet, told = Puppet(), Told()
        ground = await house.simulated_ground()
        house.disk.fail_at(commit, written=written)
        async with trio.open_nursery() as callers:
            with pytest.raises(KernelStopped) as stopped:
                async with house.kernel(puppet, ground=ground) as kernel:
                    for number in range(4):
                        callers.start_soon(told.ask, partial(kernel.call, "read", {}, session=f"s{number}"))
                        callers.start_soon(told.ask, partial(kernel.call, "nope", {}, session=f"t{number}"))
                        await settle()
        assert isinstance(stopped.value.__cause__, JournalFailed)
        dispatched = {order.decision_id for order in puppet.orders}
        async with house.kernel() as kernel:
            assert (await kernel.call("read", {})).allowed
        state, log = await house.read_simulated()
        log.check_all_sealed(shown=told.receipt_ids(), dispatched=dispatched)
        assert not state.open_intents

    async def test_nothing_is_handed_to_the_disk_after_it_failed(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        told, puppet = Told(), Puppet(awaited=5)
        hold = Hold()
        puppet.deed = hold
        async with trio.open_nursery() as callers:
            with pytest.raises(KernelStopped):
                async with house.kernel(puppet) as kernel:
                    for number in range(5):
                        callers.start_soon(told.ask, partial(kernel.call, "read", {}, session=f"s{number}"))
                    await puppet.began.wait()
                    house.disk.fail_at(len(house.disk.batches) + 1)
                    hold.let_go()
                    await trio.sleep_forever()
        assert [problem.unknown for problem in told.stopped] == [True] * 5
        handed = len(house.disk.batches)
        await settle()
        assert len(house.disk.batches) == handed

    @pytest.mark.of_files
    async def test_a_full_disk_refuses_calls_and_loses_no_receipt(self, house: House) -> None:
        puppet, told = Puppet(), Told()
        for _ in range(2):
            ground = await break_ground(house.place)
            await ground.journal.aclose()
            journal = await open_journal(house.place, free_space_reserve=0, max_bytes=MIB)
            with pytest.raises(KernelStopped):
                async with house.kernel(puppet, ground=attrs.evolve(ground, journal=journal)) as kernel:
                    while True:
                        await told.ask(partial(kernel.call, "read", {"filling": "x" * 5000}))
                        kernel.check_running()
        orders = len(puppet.orders)
        assert orders > 10 and told.stopped
        async with house.kernel(puppet, ground=await house.real_ground()) as kernel:
            assert (await kernel.call("read", {})).allowed
        state, log = await house.read_real()
        log.check_all_sealed(shown=told.receipt_ids(), dispatched={order.decision_id for order in puppet.orders})
        assert len(puppet.orders) == orders + 1 and not state.open_intents

    @pytest.mark.of_files
    async def test_a_disk_below_its_reserve_refuses_before_anything_is_written(self, house: House) -> None:
        ground = await break_ground(house.place)
        await ground.journal.aclose()
        journal = await open_journal(house.place, free_space_reserve=12 * MIB, max_bytes=14 * MIB)
        puppet, told = Puppet(), Told()
        async with house.kernel(puppet, ground=attrs.evolve(ground, journal=journal)) as kernel:
            while not told.overloaded:
                await told.ask(partial(kernel.call, "read", {"filling": "x" * 5000}))
                await trio.lowlevel.checkpoint()
        assert told.stopped == [] and len(told.answers) == len(puppet.orders) > 10
        _, log = await house.read_real()
        log.check_all_sealed(shown=told.receipt_ids())


def swallow() -> JSONValue:
    return {"n": 1}


def complain() -> JSONValue:
    raise Bang


def complain_in_a_group() -> JSONValue:
    raise BaseExceptionGroup("of a nursery", [Bang()])


class TestConnectorsAtTheEnd:
    """What a connector does while it is cancelled is its own affair, and tells nothing of its effect."""

    @pytest.mark.parametrize("answer", [swallow, complain, complain_in_a_group])
    async def test_one_that_minds_the_end_badly_still_leaves_a_receipt(
        self, house: House, answer: Callable[[], JSONValue], autojump_clock: trio.testing.MockClock
    ) -> None:
        puppet = Puppet(stubborn(answer))
        async with trio.open_nursery() as callers, house.kernel(puppet) as kernel:
            callers.start_soon(partial(kernel.call, "read", {}))
            await puppet.began.wait()
        _, log = await house.read_simulated()
        log.check_all_sealed(dispatched={puppet.orders[0].decision_id})

    @pytest.mark.parametrize("answer", [complain, complain_in_a_group])
    async def test_one_that_minds_its_deadline_badly_ends_no_kernel(
        self, house: House, answer: Callable[[], JSONValue], autojump_clock: trio.testing.MockClock
    ) -> None:
        puppet = Puppet(stubborn(answer))
        async with house.kernel(puppet) as kernel:
            late = await kernel.call("read", {})
            puppet.deed = nursery_that_complains
            grouped = await kernel.call("read", {})
            puppet.deed = done
            assert (await kernel.call("read", {})).allowed
        for unknown in (late, grouped):
            assert unknown.status == Status.INDETERMINATE
            assert unknown.reason_code == ReasonCode.ERR_CONNECTOR_TIMEOUT


def stubborn(answer: Callable[[], JSONValue]) -> Deed:
    """Return a deed that never ends, and takes its cancellation as `answer` does."""

    async def deed(order: Dispatch) -> JSONValue:
        with suppress(trio.Cancelled):
            await trio.sleep_forever()
        return answer()

    return deed


async def nursery_that_complains(order: Dispatch) -> JSONValue:
    """Raise the cancellation and an error of its own in one group."""

    async def child() -> None:
        try:
            await trio.sleep_forever()
        finally:
            complain()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(child)
    return {}


async def test_an_evaluation_under_way_at_the_end_is_not_dispatched(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    told = Told()
    call = admit(Caller(tenant="t", principal="p", session_id="s"), "read", {})
    async with trio.open_nursery() as callers, house.kernel() as kernel:
        house.disk.commit_seconds = 0.5
        callers.start_soon(told.ask, partial(kernel.govern, call, decide_only=True))
        await settle()
    assert [answer.status for answer in told.answers] == [Status.NOT_DISPATCHED]


def test_ctrl_c_on_a_process_seals_what_was_under_way(house: House, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.chaos.load", str(house.path), str(tmp_path / "effects"), "--hold"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        while child.stdout.readline() != "holding\n":
            assert child.poll() is None
        child.send_signal(signal.SIGINT)
        assert "KeyboardInterrupt" in child.stdout.read()
        assert child.wait(20) == 130

    async def read() -> Log:
        state, log = await house.read_real()
        assert not state.open_intents
        return log

    log = trio.run(read)
    log.check_all_sealed()
    assert log.statuses()["INDETERMINATE"] == 4
