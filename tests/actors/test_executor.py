"""Whatever way an effect ends, its receipt says what is known of it, and no more."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from actors.connectors.port import ConnectorFailed, ConnectorUnknown, Dispatch, NotDispatched, Unreachable
from actors.executor import MAX_REASON
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Status
from tests.actors.kit import House, Told, settle
from tests.actors.puppet import Hold, Puppet, done, raising

pytestmark = pytest.mark.every_store


class Panic(BaseException):
    """What PyO3 raises where Rust code of a tool's extension module panics."""


@attrs.frozen
class Case:
    """What a connector raises, and what its receipt must say."""

    problem: BaseException
    status: Status
    code: ReasonCode
    said: str


CASES: Mapping[str, Case] = {
    "refused before its first byte": Case(
        NotDispatched(ReasonCode.DATA_EGRESS_BLOCKED, "a private address"),
        Status.NOT_DISPATCHED,
        ReasonCode.DATA_EGRESS_BLOCKED,
        "a private address",
    ),
    "refused without a reason": Case(
        NotDispatched(ReasonCode.NONE, ""),
        Status.FAILED,
        ReasonCode.ERR_CONNECTOR_ERROR,
        "the connector raised NotDispatched",
    ),
    "failed": Case(ConnectorFailed("404"), Status.FAILED, ReasonCode.ERR_CONNECTOR_ERROR, "404"),
    "unknown": Case(ConnectorUnknown("no answer"), Status.INDETERMINATE, ReasonCode.ERR_INDETERMINATE, "no answer"),
    "any other error": Case(
        ValueError("with a secret"),
        Status.FAILED,
        ReasonCode.ERR_CONNECTOR_ERROR,
        "the connector raised ValueError",
    ),
    "a group of errors": Case(
        ExceptionGroup("", [OSError(), ValueError()]),
        Status.FAILED,
        ReasonCode.ERR_CONNECTOR_ERROR,
        "the connector raised ExceptionGroup",
    ),
    "a cancellation of another loop's": Case(
        asyncio.CancelledError(),
        Status.FAILED,
        ReasonCode.ERR_CONNECTOR_ERROR,
        "the connector raised CancelledError",
    ),
    "a panic, which is no Exception": Case(
        Panic(),
        Status.FAILED,
        ReasonCode.ERR_CONNECTOR_ERROR,
        "the connector raised Panic",
    ),
    "a group of panics": Case(
        BaseExceptionGroup("", [Panic(), OSError()]),
        Status.FAILED,
        ReasonCode.ERR_CONNECTOR_ERROR,
        "the connector raised BaseExceptionGroup",
    ),
    "words that are no text": Case(
        ConnectorFailed("half a \ud800 character"),
        Status.FAILED,
        ReasonCode.ERR_CONNECTOR_ERROR,
        "half a ? character",
    ),
    "endless words": Case(
        ConnectorUnknown("x" * 20_000_000),
        Status.INDETERMINATE,
        ReasonCode.ERR_INDETERMINATE,
        "x" * MAX_REASON,
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_what_a_connector_raises_is_an_outcome(
    house: House, case: Case, autojump_clock: trio.testing.MockClock
) -> None:
    puppet = Puppet(raising(case.problem))
    async with house.kernel(puppet) as kernel:
        answer = await kernel.call("read", {})
        puppet.deed = lambda order: {}
        assert (await kernel.call("read", {})).allowed
    assert (answer.status, answer.reason_code, answer.reason) == (case.status, case.code, case.said)
    assert (answer.output, answer.receipt.content.output_hash) == (None, "")
    await house.read_simulated()


DRIFTS: Mapping[str, Any] = {
    "another type": {"n": "1"},
    "something missing": {},
    "something more": {"n": 1, "m": 1},
    "no object": [1],
    "nothing": None,
    "not JSON": {"n": object()},
    "bytes": b'{"n":1}',
    "NaN": {"n": float("nan")},
    "a number beyond 2^53": {"n": 2**53},
    "half a character": {"n": 1, "\ud800": 1},
    "too deep": {"n": [[[[]]] * 3] * 3},
    "too much": "x" * 1_100_000,
    "a name that is none": {1: 1},
    "a type that is none, below a name of many pages": {"x" * 20_000_000: object()},
}


def endless() -> list[Any]:
    holder: list[Any] = []
    holder.append(holder)
    return holder


@pytest.mark.parametrize("output", [*DRIFTS.values(), endless()], ids=[*DRIFTS, "a list that holds itself"])
async def test_an_answer_that_breaks_the_pinned_schema_is_drift_and_halts_its_connector(
    house: House, output: Any, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel(Puppet(lambda order: output)) as kernel:
        answer = await kernel.call("strict", {"n": 1})
        assert (answer.status, answer.reason_code) == (Status.FAILED, ReasonCode.ERR_CONNECTOR_CONTRACT_DRIFT)
        assert answer.output is None
        again = await kernel.call("strict", {"n": 1})
        assert (again.status, again.reason_code) == (Status.DENIED, ReasonCode.ERR_CONNECTOR_CONTRACT_DRIFT)
    await house.read_simulated()


async def test_a_tool_that_changes_its_answer_while_it_is_checked_ends_no_kernel(house: House) -> None:
    answer: dict[str, int] = {f"{n:x}": n for n in range(20_000)}
    over = threading.Event()

    def change() -> None:
        while not over.is_set():
            answer["more"] = 1
            over.wait(1e-6)
            del answer["more"]
            over.wait(1e-6)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    thread = threading.Thread(target=change)
    thread.start()
    try:
        async with house.kernel({"local": Puppet(lambda order: answer), "other": Puppet()}) as kernel:
            for _ in range(5):
                await kernel.call("read", {})
            over.set()
            assert (await kernel.call("neighbour", {})).allowed
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(before)
    await house.read_simulated()


async def test_a_connector_that_is_not_plugged_in_is_not_reached(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel({"other": Puppet()}) as kernel:
        answer = await kernel.call("limited", {})
        assert (answer.status, answer.reason_code) == (Status.NOT_DISPATCHED, ReasonCode.POLICY_NOT_READY)
        assert kernel.memory.ledger.accounts["few"][2] == 0


async def test_an_order_holds_what_was_judged_and_nothing_else(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    puppet = Puppet()
    async with house.kernel(puppet) as kernel:
        answer = await kernel.call("send", {"to": "HTTPS://A.Example.com:443/path"}, principal="p")
    (order,) = puppet.orders
    receipt = answer.receipt.content
    assert (order.tool, order.connector, order.timeout_ms) == ("send", "local", 30_000)
    assert order.destination == "https://a.example.com:443"
    assert (order.args_hash, order.decision_id, order.effect_id) == (
        receipt.args_hash,
        receipt.decision_id,
        receipt.effect_id,
    )


async def test_a_connector_may_change_its_copy_of_the_arguments_and_nobody_elses(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    def greedy(order: Dispatch) -> JSONValue:
        order.parsed["amount"] = 1_000_000
        return {}

    async with house.kernel(Puppet(greedy)) as kernel:
        answer = await kernel.call("read", {"amount": 1})
        assert (await kernel.library.find(answer.record_id)) is not None
    await house.read_simulated()  # what the journal holds still hashes to its names


async def test_connectors_are_closed_once_and_last(house: House, autojump_clock: trio.testing.MockClock) -> None:
    closed_while: list[int] = []

    class Watching(Puppet):
        async def aclose(self) -> None:
            closed_while.append(len(kernel.cases))
            await super().aclose()

    puppet = Watching(Hold())
    async with trio.open_nursery() as callers, house.kernel(puppet) as kernel:
        callers.start_soon(partial(kernel.call, "read", {}))
        await puppet.began.wait()
    assert closed_while == [0]  # it stands behind two names


async def test_a_connector_that_cannot_be_closed_does_not_keep_the_kernel_from_ending(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    class Sticky(Puppet):
        async def aclose(self) -> None:
            await trio.sleep_forever()

    with trio.fail_after(10):
        async with house.kernel(Sticky()) as kernel:
            assert (await kernel.call("read", {})).allowed


async def test_an_effect_does_not_begin_before_its_intent_is_durable(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    puppet, told = Puppet(), Told()
    async with house.kernel(puppet) as kernel, trio.open_nursery() as callers:
        house.disk.hang()
        for tool in ("read", "nope"):
            callers.start_soon(told.ask, partial(kernel.call, tool, {}, session=tool))
        await settle()
        assert (puppet.orders, told.answers) == ([], [])  # and no refusal is told before it is durable
        house.disk.resume()
    assert (len(puppet.orders), len(told.answers)) == (1, 2)


@pytest.mark.parametrize(
    "make",
    [Hold, lambda: raising(ConnectorFailed("no")), lambda: raising(Panic())],
    ids=["waits", "fails", "panics"],
)
async def test_nothing_waits_behind_an_effect_that_waits_or_fails(
    house: House, make: Callable[[], Any], autojump_clock: trio.testing.MockClock
) -> None:
    """Intents that became durable together are one hand's work, for as long as none of their effects waits."""
    first = make()
    puppet, told = Puppet(), Told()
    puppet.deed = lambda order: first(order) if order is puppet.orders[0] else {"n": 1}
    async with house.kernel(puppet) as kernel, trio.open_nursery() as callers:
        house.disk.hang()
        for number in range(8):
            callers.start_soon(told.ask, partial(kernel.call, "read", {}, session=f"s{number}"))
        await settle()
        house.disk.resume()
        await settle()
        assert len(puppet.orders) == 8
        assert len(told.answers) == (7 if isinstance(first, Hold) else 8)
        if isinstance(first, Hold):
            first.let_go()
    assert len(told.answers) == 8
    await house.read_simulated()


async def test_effects_of_one_batch_that_wait_are_under_way_together(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    hold = Hold()
    puppet, told = Puppet(hold, awaited=8), Told()
    async with house.kernel(puppet) as kernel, trio.open_nursery() as callers:
        house.disk.hang()
        for number in range(8):
            callers.start_soon(told.ask, partial(kernel.call, "read", {}, session=f"s{number}"))
        await settle()
        house.disk.resume()
        await puppet.began.wait()
        assert told.answers == []
        hold.let_go()
    assert len(told.answers) == 8


async def test_what_calls_met_at_a_connector_is_forgotten_with_it_and_not_before(house: House) -> None:
    gone = Unreachable(ReasonCode.ERR_CONNECTOR_ERROR, "host:1: ConnectError")
    async with house.kernel(Puppet(raising(gone))) as kernel:
        executor = kernel.executor
        assert (await kernel.call("read", {})).status is Status.NOT_DISPATCHED
        executor.plug(dict(executor.connectors))
        met = executor.troubles.of("local", executor.connectors["local"])
        executor.plug({**executor.connectors, "local": Puppet()})
        assert met is not None
        assert met.said == "host:1: ConnectError"
        assert executor.troubles.of("local", executor.connectors["local"]) is None


@pytest.mark.parametrize("ends", ["out of reach", "failed", "done"])
async def test_what_a_call_meets_at_a_connector_that_was_replaced_is_not_told_of_the_new_one(
    house: House, ends: str
) -> None:
    gate, old, told = trio.Event(), Puppet(), Told()

    async def late(_: Dispatch) -> JSONValue:
        await gate.wait()
        match ends:
            case "out of reach":
                raise Unreachable(ReasonCode.ERR_CONNECTOR_ERROR, "met at the old one")
            case "failed":
                raise ConnectorFailed("404")
            case _:
                return {"n": 1}

    old.deed = late
    async with house.kernel(old) as kernel:
        executor = kernel.executor
        async with trio.open_nursery() as nursery:
            nursery.start_soon(told.ask, partial(kernel.call, "read", {}))
            await old.began.wait()
            executor.plug({**executor.connectors, "local": Puppet()})
            executor.troubles.note("local", "met at the new one", 1)
            gate.set()
        found = executor.troubles.of("local", executor.connectors["local"])
    assert len(told.answers) == 1
    assert found is not None
    assert found.said == "met at the new one"


async def test_what_a_call_meets_at_a_connector_that_is_gone_is_kept_for_nobody(house: House) -> None:
    gate, old, told = trio.Event(), Puppet(), Told()

    async def late(_: Dispatch) -> JSONValue:
        await gate.wait()
        raise Unreachable(ReasonCode.ERR_CONNECTOR_ERROR, "met at the old one")

    old.deed = late
    async with house.kernel(old) as kernel:
        executor = kernel.executor
        async with trio.open_nursery() as nursery:
            nursery.start_soon(told.ask, partial(kernel.call, "read", {}))
            await old.began.wait()
            executor.plug({})
            gate.set()
        assert executor.troubles.of("local", Puppet()) is None


@pytest.mark.parametrize("ends", ["failed", "done"])
async def test_a_connector_that_answers_again_is_in_no_trouble_any_more(house: House, ends: str) -> None:
    puppet = Puppet(raising(Unreachable(ReasonCode.ERR_CONNECTOR_ERROR, "nobody there")))
    async with house.kernel(puppet) as kernel:
        executor = kernel.executor
        await kernel.call("read", {})
        met = executor.troubles.of("local", puppet)
        puppet.deed = done if ends == "done" else raising(ConnectorFailed("404"))
        await kernel.call("read", {})
        assert met is not None
        assert executor.troubles.of("local", puppet) is None


async def test_a_connector_that_cannot_be_closed_ends_no_kernel_and_is_closed_once(house: House) -> None:
    class Stuck(Puppet):
        async def aclose(self) -> None:
            await super().aclose()
            raise OSError("a socket that is gone")

    old = Stuck()
    async with house.kernel(Puppet()) as kernel:
        executor = kernel.executor
        before = executor.connectors
        executor.plug({**before, "local": old})
        executor.plug(before)
        await executor.let_go(old)
        assert (await kernel.call("read", {})).allowed
    assert old.closed == 1
