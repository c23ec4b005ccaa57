"""Functions of this process as tools.

An async function is awaited in place. A sync one runs in a worker thread, and that thread is abandoned when
its deadline passes: nobody can stop a thread, so a function that hangs keeps one of this connector's places,
and none of anybody else's.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from inspect import iscoroutinefunction
from typing import Any

import trio

from actors.connectors.port import ConnectorFailed, Dispatch, NotDispatched
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode

MAX_THREADS = 40
"""Sync functions of one connector at a time; a hung one counts until it returns (T4)."""

Function = Callable[[Any], JSONValue | Awaitable[JSONValue]]
"""Takes the call's arguments, a fresh JSON object, and returns a JSON value."""


class LocalConnector:
    """Calls the function that an order's operation names or, without an operation, its tool."""

    def __init__(self, functions: Mapping[str, Function], *, max_threads: int = MAX_THREADS) -> None:
        threads = trio.CapacityLimiter(max_threads)
        self._functions = {
            name: function if _is_async(function) else partial(_in_thread, function, threads)
            for name, function in functions.items()
        }

    async def dispatch(self, order: Dispatch, /) -> JSONValue:
        """Return what the function returns; what it raises passes, except an exit from the process."""
        function = self._functions.get(order.operation or order.tool)
        if function is None:
            name = order.operation or order.tool
            raise NotDispatched(ReasonCode.POLICY_NOT_READY, f"no function {name!r} is registered")
        try:
            return await function(order.parsed)
        except SystemExit as leaving:
            raise ConnectorFailed("the function tried to end the process") from leaving

    async def aclose(self) -> None:
        """Nothing is held: a thread that hangs ends with the process."""


def _is_async(function: Function) -> bool:
    return iscoroutinefunction(function) or iscoroutinefunction(type(function).__call__)


async def _in_thread(function: Function, threads: trio.CapacityLimiter, arguments: Any) -> JSONValue:
    return await trio.to_thread.run_sync(function, arguments, abandon_on_cancel=True, limiter=threads)
