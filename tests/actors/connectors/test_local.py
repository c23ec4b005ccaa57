"""A function as a tool: called with what was judged, and unable to hold up anyone else."""

from __future__ import annotations

import sys
import threading
from typing import Any

import pytest
import trio

from actors.connectors.local import LocalConnector
from actors.connectors.port import ConnectorFailed, NotDispatched
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from tests.actors.connectors.orders import order


async def _add(arguments: dict[str, int]) -> JSONValue:
    return {"sum": arguments["a"] + arguments["b"]}


def _thread_name(arguments: Any) -> JSONValue:
    return threading.current_thread() is threading.main_thread()


async def test_an_async_function_is_awaited_in_place() -> None:
    connector = LocalConnector({"add": _add})
    assert await connector.dispatch(order({"a": 1, "b": 2}, operation="add")) == {"sum": 3}


async def test_a_sync_function_does_not_hold_the_loop() -> None:
    connector = LocalConnector({"where": _thread_name})
    assert await connector.dispatch(order({}, operation="where")) is False


async def test_an_object_with_an_async_call_is_awaited_in_place() -> None:
    class Counter:
        async def __call__(self, arguments: dict[str, int]) -> JSONValue:
            return arguments["a"]

    assert await LocalConnector({"count": Counter()}).dispatch(order({"a": 1}, operation="count")) == 1


async def test_without_an_operation_the_tool_names_the_function() -> None:
    assert await LocalConnector({"a.tool": _add}).dispatch(order({"a": 1, "b": 1})) == {"sum": 2}


async def test_a_function_nobody_registered_is_not_dispatched() -> None:
    with pytest.raises(NotDispatched) as refused:
        await LocalConnector({}).dispatch(order({}, operation="gone"))
    assert refused.value.code is ReasonCode.POLICY_NOT_READY


async def test_what_a_function_raises_reaches_the_executor() -> None:
    async def fail(arguments: Any) -> JSONValue:
        raise LookupError("no such row")

    with pytest.raises(LookupError):
        await LocalConnector({"fail": fail}).dispatch(order({}, operation="fail"))


@pytest.mark.parametrize("is_async", [True, False])
async def test_a_tool_cannot_end_the_process(is_async: bool) -> None:
    def leave(arguments: Any) -> JSONValue:
        sys.exit(1)

    async def leave_async(arguments: Any) -> JSONValue:
        sys.exit(1)

    connector = LocalConnector({"leave": leave_async if is_async else leave})
    with pytest.raises(ConnectorFailed):
        await connector.dispatch(order({}, operation="leave"))


async def test_a_hung_function_loses_its_caller_and_keeps_only_its_own_place() -> None:
    release = threading.Event()

    def hang(arguments: Any) -> JSONValue:
        release.wait(30)
        return None

    hung, other = LocalConnector({"hang": hang}, max_threads=1), LocalConnector({"where": _thread_name})
    try:
        with trio.move_on_after(0.01) as deadline:
            await hung.dispatch(order({}, operation="hang"))
        assert deadline.cancelled_caught
        assert await other.dispatch(order({}, operation="where")) is False
        with trio.move_on_after(0.01) as full:
            await hung.dispatch(order({}, operation="hang"))
        assert full.cancelled_caught
    finally:
        release.set()


async def test_closing_lets_go_of_nothing_that_runs() -> None:
    await LocalConnector({}).aclose()
