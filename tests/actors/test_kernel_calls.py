"""A call of a running kernel: what callers, connectors and disks may do to it, and what stays true."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from actors.connectors.local import LocalConnector
from actors.connectors.port import Dispatch
from actors.kernel import Limits
from actors.mailbox import KernelStopped, Overloaded
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Status, Verdict
from helm.crypto.hashing import sha256
from helm.guardian.intake import PLAIN, Terms
from tests.actors.kit import LIMITS, House, Told, settle
from tests.actors.puppet import Hold, Puppet

pytestmark = pytest.mark.every_store

EACH = partial(attrs.evolve, LIMITS)


async def test_an_answer_is_a_receipt_that_is_durable_before_anyone_sees_it(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    puppet = Puppet(lambda order: {"echo": order.parsed, "bytes": len(house.disk.rows)})
    async with house.kernel(puppet) as kernel:
        before = len(house.disk.rows)
        answer = await kernel.call("read", {"b": 1, "a": [2.5]}, principal="agent", session="s1")
        assert len(house.disk.rows) == before + 2
    (order,) = puppet.orders
    receipt = answer.receipt.content
    assert answer.output == {"echo": {"a": [2.5], "b": 1}, "bytes": before + 1}  # its intent was durable already
    assert (answer.verdict, answer.status, answer.allowed) == (Verdict.ALLOW, Status.SUCCESS, True)
    assert order.arguments == b'{"a":[2.5],"b":1}' and sha256(order.arguments) == receipt.args_hash
    assert (receipt.lamport_clock, receipt.prev_hash, receipt.principal) == (1, "GENESIS", "agent")
    assert receipt.output_hash == sha256(answer.output_json)
    state, log = await house.read_simulated()
    log.check_all_sealed(shown={answer.receipt.receipt_id}, dispatched={order.decision_id})
    assert not state.open_intents


async def test_a_row_alone_has_nothing_done_beside_the_disk_and_a_crowd_goes_on_there(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel(Puppet()) as kernel:
        beside = house.disk.beside
        await kernel.call("read", {})
        assert house.disk.beside == beside
        async with trio.open_nursery() as nursery:
            for session in ("one", "another"):
                nursery.start_soon(partial(kernel.call, "read", {}, session=session))
        assert house.disk.beside > beside


async def test_the_journal_is_told_whether_anything_else_can_be_done(house: House) -> None:
    async def crowd() -> list[bool]:
        before = len(house.disk.alone)
        async with trio.open_nursery() as nursery:
            for session in ("one", "another"):
                nursery.start_soon(partial(kernel.call, "read", {}, session=session))
        return house.disk.alone[before:]

    async def work() -> None:
        while True:
            await trio.lowlevel.checkpoint()

    async with house.kernel(Puppet()) as kernel:
        assert await crowd() == [True, True]
        async with trio.open_nursery() as nursery:
            nursery.start_soon(work)
            assert set(await crowd()) == {False}
            nursery.cancel_scope.cancel()


async def test_what_was_hashed_is_what_is_dispatched_whatever_the_caller_changes_meanwhile(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    puppet, told = Puppet(), Told()
    arguments: dict[str, JSONValue] = {"to": ["alice"]}
    async with house.kernel(puppet) as kernel:
        house.disk.commit_seconds = 1.0
        async with trio.open_nursery() as nursery:
            nursery.start_soon(told.ask, partial(kernel.call, "read", arguments))
            await settle()
            arguments["to"].append("mallory")
    assert puppet.orders[0].parsed == {"to": ["alice"]}
    assert sha256(puppet.orders[0].arguments) == told.answers[0].receipt.content.args_hash


async def test_the_receipts_of_a_session_form_one_chain_across_restarts(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    answers = []
    for _ in range(3):
        async with house.kernel() as kernel:
            answers += [await kernel.call(tool, {}, session="s") for tool in ("read", "nope")]
    receipts = [answer.receipt for answer in answers]
    assert [sealed.content.lamport_clock for sealed in receipts] == [1, 2, 3, 4, 5, 6]
    links = ["GENESIS", *(sealed.signature for sealed in receipts)]
    assert [sealed.content.prev_hash for sealed in receipts] == links[:-1]


async def test_two_identical_calls_never_share_a_decision(house: House, autojump_clock: trio.testing.MockClock) -> None:
    ids = set()
    for _ in range(2):
        async with house.kernel() as kernel:
            house.clock.start_ms -= house.clock.now_ms() - house.clock.start_ms  # the very same time again
            ids |= {(await kernel.call("read", {})).receipt.content.decision_id for _ in range(2)}
    assert len(ids) == 4


class TestACallerThatLeaves:
    """Hanging up takes the caller away, never the call (T6)."""

    @pytest.mark.parametrize("tool", ["read", "nope"])
    async def test_it_still_leaves_a_receipt(
        self, house: House, tool: str, autojump_clock: trio.testing.MockClock
    ) -> None:
        async with house.kernel() as kernel:
            with trio.CancelScope() as leaving:
                leaving.cancel()
                await kernel.call(tool, {})
            assert leaving.cancelled_caught
            await trio.sleep(1)
            assert not kernel.cases
        _, log = await house.read_simulated()
        log.check_all_sealed()
        assert log.statuses() == {"SUCCESS" if tool == "read" else "DENIED": 1}

    async def test_its_effect_goes_on_and_its_place_stays_taken_until_then(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        hold, told = Hold(), Told()
        puppet = Puppet(hold)
        async with house.kernel(puppet, limits=EACH(places=1)) as kernel:
            with trio.move_on_after(0.5):
                await kernel.call("read", {})
            await told.ask(partial(kernel.call, "read", {}))
            hold.let_go()
            await settle()
            await told.ask(partial(kernel.call, "read", {}))
        assert (told.overloaded, len(told.answers)) == (1, 1)
        _, log = await house.read_simulated()
        assert log.statuses() == {"SUCCESS": 2}

    async def test_a_thousand_of_them_leak_no_place_and_overfill_no_channel(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        async with house.kernel(limits=EACH(places=4)) as kernel:
            house.disk.commit_seconds = 0.01
            for number in range(1000):
                with trio.CancelScope() as leaving:
                    if number % 3:
                        leaving.cancel()
                    try:
                        await kernel.call("read", {}, session=f"s{number % 5}")
                    except Overloaded:
                        await trio.sleep(0.1)
            await trio.sleep(1)
            assert not kernel.cases
            assert (await kernel.call("read", {})).allowed
        _, log = await house.read_simulated()
        log.check_all_sealed()


class TestOverload:
    """Refused in one place, the intake, and nothing of it is written (T4)."""

    async def test_one_more_than_there_are_places_is_refused(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        hold = Hold()
        puppet = Puppet(hold, awaited=16)
        async with house.kernel(puppet) as kernel, trio.open_nursery() as nursery:
            for number in range(16):
                nursery.start_soon(partial(kernel.call, "read", {}, session=f"s{number}"))
            await puppet.began.wait()
            rows = len(house.disk.rows)
            for tool in ("read", "nope"):
                with pytest.raises(Overloaded):
                    await kernel.call(tool, {})
            assert Overloaded.reason_code == ReasonCode.OVERLOADED
            await settle()
            assert (len(puppet.orders), len(house.disk.rows)) == (16, rows)
            hold.let_go()

    async def test_one_principal_cannot_take_every_place(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        hold = Hold()
        puppet = Puppet(hold, awaited=4)
        limits = EACH(places=8, places_per_principal=4)
        async with house.kernel(puppet, limits=limits) as kernel, trio.open_nursery() as nursery:
            for number in range(4):
                nursery.start_soon(partial(kernel.call, "read", {}, principal="greedy", session=f"s{number}"))
            await puppet.began.wait()
            with pytest.raises(Overloaded):
                await kernel.call("read", {}, principal="greedy")
            nursery.start_soon(partial(kernel.call, "read", {}, principal="modest", session="m"))
            nursery.start_soon(partial(kernel.call, "read", {}, principal="greedy", tenant="other", session="o"))
            await settle()
            assert len(puppet.orders) == 6
            hold.let_go()

    async def test_a_disk_that_is_nearly_full_refuses_calls_but_not_the_outcomes_under_way(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        hold, told = Hold(), Told()
        puppet = Puppet(hold)
        async with house.kernel(puppet) as kernel, trio.open_nursery() as nursery:
            nursery.start_soon(told.ask, partial(kernel.call, "read", {}))
            await puppet.began.wait()
            house.disk.low_space = True
            rows = len(house.disk.rows)
            with pytest.raises(Overloaded):
                await kernel.call("read", {})
            assert len(house.disk.rows) == rows
            hold.let_go()
        assert [answer.status for answer in told.answers] == [Status.SUCCESS]
        assert len(puppet.orders) == 1


class TestTimeouts:
    """Every wait has an owner of its deadline: an effect's is its tool's."""

    async def test_a_connector_that_hangs_leaves_an_unknown_outcome(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        puppet = Puppet(Hold())
        async with house.kernel(puppet) as kernel:
            started = trio.current_time()
            answer = await kernel.call("read", {})
            assert trio.current_time() - started == pytest.approx(2.0, abs=0.1)
            assert (answer.status, answer.reason_code) == (
                Status.INDETERMINATE,
                ReasonCode.ERR_CONNECTOR_TIMEOUT,
            )
            assert not kernel.cases
            puppet.deed = lambda order: {"n": 1}
            for _ in range(LIMITS.places + 1):  # the hand that timed out serves again
                assert (await kernel.call("read", {})).allowed

    async def test_each_of_many_hung_effects_ends_at_its_own_deadline(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        ended: list[float] = []

        async def caller(delay_s: float) -> None:
            await trio.sleep(delay_s)
            await kernel.call("read", {}, session=f"s{delay_s}")
            ended.append(round(trio.current_time() - started - delay_s, 1))

        async with house.kernel(Puppet(Hold())) as kernel:
            started = trio.current_time()
            async with trio.open_nursery() as nursery:
                for number in range(10):
                    nursery.start_soon(caller, number / 4)
        assert ended == [2.0] * 10

    async def test_an_answer_in_the_last_moment_counts(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        async def late(order: Dispatch) -> JSONValue:
            with trio.CancelScope(shield=True):
                await trio.sleep(order.timeout_ms / 1000)
            return {"n": 1}

        async with house.kernel(Puppet(late)) as kernel:
            assert [(await kernel.call("read", {})).status for _ in range(3)] == [Status.SUCCESS] * 3

    async def test_forty_hung_functions_do_not_stall_commits(self, house: House) -> None:
        release, running = threading.Event(), threading.Semaphore(0)

        def hang(arguments: Any) -> JSONValue:
            running.release()
            release.wait(20)
            return {}

        connectors = {"local": LocalConnector({"read": hang}), "other": LocalConnector({"neighbour": lambda _: {}})}
        limits = Limits(places=64, places_per_principal=64, grace_s=1.0)
        told = Told()
        ground = await house.real_ground()
        async with house.kernel(connectors, ground=ground, limits=limits) as kernel, trio.open_nursery() as nursery:
            for number in range(45):  # more than the connector has threads
                nursery.start_soon(told.ask, partial(kernel.call, "read", {}, session=f"s{number}"))
            for _ in range(40):
                await trio.to_thread.run_sync(running.acquire)
            with trio.fail_after(5):
                answers = [await kernel.call("neighbour", {}, session="n") for _ in range(20)]
            release.set()
        assert all(answer.allowed for answer in answers)
        assert [answer.status for answer in told.answers] == [Status.SUCCESS] * 45


@pytest.mark.parametrize("name", ["", "a b", "x" * 257, "n\u00e4me", "tab\t"])
async def test_a_name_that_cannot_stand_in_a_record_is_no_call(
    house: House, name: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel() as kernel:
        rows = len(house.disk.rows)
        for whom in ("principal", "session", "tenant"):
            with pytest.raises(Invalid):
                await kernel.call("read", {}, **{whom: name})  # type: ignore[arg-type]
        with pytest.raises(Invalid):
            await kernel.call(name, {})
        assert len(house.disk.rows) == rows


class Looks:
    """Something that is written like a name, and is none."""

    def __str__(self) -> str:
        return "agent"

    def __repr__(self) -> str:
        return "looks"


@pytest.mark.parametrize("other", [5, None, 0, True, Looks(), b"agent", ("agent",)], ids=repr)
@pytest.mark.parametrize("where", ["session", "principal", "tenant", "idempotency_key", "approval_id", "delegation_id"])
async def test_what_only_looks_like_a_name_cannot_make_a_journal_that_nobody_reads_back(
    house: House, where: str, other: Any, autojump_clock: trio.testing.MockClock
) -> None:
    given: dict[str, Any] = {where: other} if where in ("session", "principal", "tenant") else {}
    terms = PLAIN if given else Terms(**{where: other})
    async with house.kernel() as kernel:
        with pytest.raises(Invalid):
            await kernel.call("read", {}, terms=terms, **given)
    await house.read_simulated()


async def test_arguments_whose_names_fill_a_book_leave_a_journal_that_is_read_back(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel() as kernel:
        answer = await kernel.call("read", {"a" * 20_000_000: object()})
        assert answer.reason_code is ReasonCode.SCHEMA_VIOLATION
    await house.read_simulated()


@pytest.mark.parametrize("sequence", [-1, 2**53, 10**30, 1.0, True])
async def test_a_delegation_sequence_that_no_record_can_hold_is_no_call(
    house: House, sequence: Any, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel() as kernel:
        with pytest.raises(Invalid):
            await kernel.call("read", {}, terms=Terms(delegation_id="d", delegation_sequence=sequence))
        assert (await kernel.call("read", {})).allowed


async def test_a_kernel_that_was_left_answers_nobody(house: House, autojump_clock: trio.testing.MockClock) -> None:
    async with house.kernel() as kernel:
        pass
    with pytest.raises(KernelStopped) as stopped:
        await kernel.call("read", {})
    assert not stopped.value.unknown
    assert stopped.value.reason_code == ReasonCode.KERNEL_STOPPED
