"""One idempotency key is one call, one effect and one receipt, whatever callers and crashes do (T6)."""

from __future__ import annotations

from functools import partial

import attrs
import pytest
import trio
import trio.testing

from actors.intake import MAX_WAITERS
from actors.kernel import Kernel, Limits
from actors.mailbox import Answer, KernelStopped
from actors.opening import Ground
from actors.stores.index_file import open_index
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Status
from helm.guardian.intake import Caller, Terms, admit
from tests.actors.kit import LIMITS, House, InlineIndex, Told, settle
from tests.actors.puppet import Hold, Puppet, raising

pytestmark = pytest.mark.every_store

KEY = Terms(idempotency_key="order-1")


class SlowIndex(InlineIndex):
    """An id index on a disk that does not answer until `answering` is set."""

    answering: trio.Event

    async def find(self, key: str) -> int | None:
        """Wait, then look."""
        await self.answering.wait()
        return await super().find(key)


async def slow_ground(house: House) -> tuple[Ground, SlowIndex]:
    """Return the simulated ground, with a slow index."""
    index = SlowIndex(open_index(house.path / "slow.sqlite", house.place.log_id), 0)
    index.answering = trio.Event()
    return attrs.evolve(await house.simulated_ground(), index=index), index


async def use_up(kernel: Kernel) -> None:
    """Have the key refused once: it claims nothing, and is not new any more."""
    assert (await ask(kernel, tool="nothing")).status == Status.DENIED


async def ask(kernel: Kernel, arguments: object = None, tool: str = "write", **whom: str) -> Answer:
    caller = Caller(tenant="local", principal=whom.get("principal", "agent"), session_id=whom.get("session", "s"))
    return await kernel.govern(admit(caller, tool, arguments or {"n": 1}, KEY))


async def test_a_duplicate_in_flight_waits_and_gets_the_same_receipt(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    hold, told = Hold(answer={"n": 41}), Told()
    puppet = Puppet(hold)
    async with house.kernel(puppet) as kernel, trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(told.ask, partial(ask, kernel))
        await puppet.began.wait()
        await settle()
        hold.let_go()
    assert len(puppet.orders) == 1
    assert len({answer.receipt.receipt_id for answer in told.answers}) == 1
    assert sorted(answer.replayed for answer in told.answers) == [False] + [True] * 4
    assert all(answer.output == {"n": 41} for answer in told.answers)


async def test_a_duplicate_of_an_executed_call_gets_the_first_receipt_and_output_also_after_a_restart(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    puppet = Puppet(lambda order: {"attempt": len(puppet.orders)})
    async with house.kernel(puppet) as kernel:
        first = await ask(kernel)
        again = await ask(kernel)
    async with house.kernel(puppet) as kernel:
        later = await ask(kernel)
    house.place.path.joinpath("simulated-index.sqlite").unlink()
    async with house.kernel(puppet) as kernel:
        without_index = await ask(kernel)
    assert len(puppet.orders) == 1
    for answer in (again, later, without_index):
        assert answer.replayed and not first.replayed
        assert answer.receipt == first.receipt
        assert (answer.output, answer.status, answer.record_id) == ({"attempt": 1}, Status.SUCCESS, first.record_id)


@pytest.mark.parametrize(("arguments", "tool"), [({"n": 2}, "write"), ({"n": 1}, "read")], ids=["bytes", "tool"])
async def test_a_key_that_was_used_for_another_call_is_refused(
    house: House, arguments: object, tool: str, autojump_clock: trio.testing.MockClock
) -> None:
    puppet = Puppet()
    async with house.kernel(puppet) as kernel:
        await ask(kernel)
        refused = await ask(kernel, arguments, tool)
        assert refused.reason_code == ReasonCode.IDEMPOTENCY_KEY_REUSED
        assert (await ask(kernel)).replayed  # the first call still answers for its key
    async with house.kernel(puppet) as kernel:
        assert (await ask(kernel, arguments, tool)).reason_code == ReasonCode.IDEMPOTENCY_KEY_REUSED
    assert len(puppet.orders) == 1


async def test_a_key_in_flight_is_refused_for_another_call_at_once(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    hold = Hold()
    puppet = Puppet(hold)
    async with house.kernel(puppet) as kernel, trio.open_nursery() as nursery:
        nursery.start_soon(ask, kernel)
        await puppet.began.wait()
        assert (await ask(kernel, {"n": 2})).reason_code == ReasonCode.IDEMPOTENCY_KEY_REUSED
        hold.let_go()


async def test_a_key_belongs_to_one_principal_in_one_session(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    puppet = Puppet()
    async with house.kernel(puppet) as kernel:
        answers = [
            await ask(kernel),
            await ask(kernel, session="other"),
            await ask(kernel, principal="other", session="third"),
        ]
    assert [answer.replayed for answer in answers] == [False] * 3
    assert len(puppet.orders) == 3


async def test_a_refusal_claims_nothing(house: House, autojump_clock: trio.testing.MockClock) -> None:
    puppet = Puppet()
    async with house.kernel(puppet, policy=None) as kernel:
        first = await ask(kernel)
        second = await ask(kernel)
    assert (first.reason_code, first.replayed) == (ReasonCode.NO_POLICY_DEFINED, False)
    assert not second.replayed and second.receipt != first.receipt
    async with house.kernel(puppet) as kernel:
        assert (await ask(kernel)).allowed
    assert len(puppet.orders) == 1


async def test_what_was_not_dispatched_claims_nothing(house: House, autojump_clock: trio.testing.MockClock) -> None:
    async with house.kernel({"other": Puppet()}) as kernel:  # nothing behind "local"
        first = await ask(kernel)
        assert (first.status, first.reason_code) == (Status.NOT_DISPATCHED, ReasonCode.POLICY_NOT_READY)
    async with house.kernel() as kernel:
        assert (await ask(kernel)).allowed


async def test_an_evaluation_claims_nothing(house: House, autojump_clock: trio.testing.MockClock) -> None:
    puppet = Puppet()
    call = admit(Caller(tenant="local", principal="agent", session_id="s"), "write", {"n": 1}, KEY)
    async with house.kernel(puppet) as kernel:
        await kernel.govern(call, decide_only=True)
        assert not (await kernel.govern(call)).replayed
    assert len(puppet.orders) == 1


async def test_an_effect_that_failed_answers_for_its_key(house: House, autojump_clock: trio.testing.MockClock) -> None:
    puppet = Puppet(raising(OSError()))
    async with house.kernel(puppet) as kernel:
        first, again = await ask(kernel), await ask(kernel)
    async with house.kernel(puppet) as kernel:
        later = await ask(kernel)
    assert len(puppet.orders) == 1
    assert {answer.receipt.receipt_id for answer in (first, again, later)} == {first.receipt.receipt_id}
    assert later.status == Status.FAILED and later.reason == first.reason != ""


async def test_an_effect_whose_outcome_is_unknown_is_never_dispatched_again(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    puppet = Puppet(Hold())
    async with house.kernel(puppet) as kernel, trio.open_nursery() as nursery:
        nursery.start_soon(ask, kernel)
        await puppet.began.wait()
        nursery.cancel_scope.cancel()
    async with house.kernel(puppet) as kernel:
        answer = await ask(kernel)
    assert (answer.status, answer.replayed) == (Status.INDETERMINATE, True)
    assert len(puppet.orders) == 1


async def test_a_caller_that_leaves_does_not_take_its_duplicates_along(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    hold, told = Hold(), Told()
    puppet = Puppet(hold)
    async with house.kernel(puppet) as kernel, trio.open_nursery() as nursery:
        with trio.CancelScope() as first:
            nursery.start_soon(told.ask, partial(ask, kernel))
            await puppet.began.wait()
            first.cancel()
        nursery.start_soon(told.ask, partial(ask, kernel))
        await settle()
        hold.let_go()
    assert (len(told.answers), len(puppet.orders)) == (2, 1)


async def test_a_caller_that_leaves_during_the_look_up_leaves_the_key_to_its_duplicates(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    puppet, told = Puppet(), Told()
    ground, index = await slow_ground(house)
    async with house.kernel(puppet, ground=ground) as kernel, trio.open_nursery() as nursery:
        first = trio.CancelScope()
        await use_up(kernel)

        async def leave() -> None:
            with first:
                await ask(kernel)
            assert first.cancelled_caught

        nursery.start_soon(leave)
        await settle()
        for _ in range(3):
            nursery.start_soon(told.ask, partial(ask, kernel))
        await settle()
        first.cancel()
        index.answering.set()
    assert [answer.status for answer in told.answers] == [Status.SUCCESS] * 3
    assert (told.stopped, len(puppet.orders)) == ([], 1)


async def test_a_duplicate_of_a_call_that_found_no_place_hears_of_the_overload(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    hold, told = Hold(), Told()
    puppet = Puppet(hold)
    limits = Limits(places=1, places_per_principal=1, grace_s=2.0)
    async with house.kernel(puppet, limits=limits) as kernel, trio.open_nursery() as nursery:
        nursery.start_soon(partial(kernel.call, "read", {}))
        await puppet.began.wait()
        for _ in range(3):
            nursery.start_soon(told.ask, partial(ask, kernel))
        await settle()
        hold.let_go()
    assert (told.overloaded, told.stopped, told.answers) == (3, [], [])


async def test_duplicates_that_wait_are_bounded(house: House, autojump_clock: trio.testing.MockClock) -> None:
    hold, told = Hold(), Told()
    puppet = Puppet(hold)
    async with house.kernel(puppet) as kernel, trio.open_nursery() as nursery:
        nursery.start_soon(ask, kernel)
        await puppet.began.wait()
        for _ in range(MAX_WAITERS + 3):
            nursery.start_soon(told.ask, partial(ask, kernel))
        await settle()
        hold.let_go()
    assert (len(told.answers), told.overloaded) == (MAX_WAITERS, 3)


async def test_a_look_up_that_never_ends_ends_with_the_kernel(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    ground, _ = await slow_ground(house)
    told = Told()
    async with trio.open_nursery() as outside, house.kernel(ground=ground) as kernel:
        await use_up(kernel)
        for _ in range(3):
            outside.start_soon(told.ask, partial(ask, kernel))
        await settle()
    assert [problem.unknown for problem in told.stopped] == [False] * 3


async def test_a_key_that_was_never_used_waits_for_no_index(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    ground, index = await slow_ground(house)
    async with house.kernel(ground=ground) as kernel:
        with trio.fail_after(5):
            assert (await ask(kernel)).allowed
        index.answering.set()
        assert (await ask(kernel)).replayed


async def test_a_key_of_the_log_is_not_new_though_the_index_has_written_it_down_already(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    puppet = Puppet()
    async with house.kernel(puppet) as kernel:
        first = await ask(kernel)
    ground = await house.simulated_ground()
    assert ground.index.watermark > 0  # its keys are on disk: the start notes none of them again
    async with house.kernel(puppet, ground=ground) as kernel:
        assert (await ask(kernel)).receipt == first.receipt
    assert len(puppet.orders) == 1


async def test_a_key_whose_effect_was_under_way_when_the_process_died_is_not_new(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    hold = Hold()
    puppet, told = Puppet(hold), Told()
    async with trio.open_nursery() as callers:
        with pytest.raises(KernelStopped):
            async with house.kernel(puppet) as kernel:
                callers.start_soon(told.ask, partial(ask, kernel))
                await puppet.began.wait()
                house.disk.fail_at(len(house.disk.batches) + 1, written=False)
                hold.let_go()
                await trio.sleep_forever()
    assert [problem.unknown for problem in told.stopped] == [True]
    async with house.kernel(puppet) as kernel:
        answer = await ask(kernel)
    assert (answer.status, answer.replayed) == (Status.INDETERMINATE, True)
    assert len(puppet.orders) == 1


async def test_a_store_that_cannot_be_read_is_a_refusal(house: House, autojump_clock: trio.testing.MockClock) -> None:
    puppet = Puppet()
    async with house.kernel(puppet) as kernel:
        await ask(kernel)
        house.disk.closed = True
        with pytest.raises(KernelStopped) as stopped:
            await ask(kernel)
        house.disk.closed = False
    assert not stopped.value.unknown
    assert len(puppet.orders) == 1


async def test_a_kernel_that_has_ended_answers_no_key(house: House, autojump_clock: trio.testing.MockClock) -> None:
    async with house.kernel() as kernel:
        await ask(kernel)
    for arguments in ({"n": 1}, {"n": 2}):
        with pytest.raises(KernelStopped):
            await ask(kernel, arguments)


async def test_the_real_index_and_journal_keep_the_promise_as_well(house: House) -> None:
    puppet = Puppet()
    async with house.kernel(puppet, ground=await house.real_ground(), limits=LIMITS) as kernel:
        first = await ask(kernel)
        assert (await ask(kernel)).receipt == first.receipt
    async with house.kernel(puppet, ground=await house.real_ground(), limits=LIMITS) as kernel:
        assert (await ask(kernel)).receipt == first.receipt
    assert len(puppet.orders) == 1
