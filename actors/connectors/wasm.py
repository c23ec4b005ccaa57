"""WASI modules as tools: each order becomes a guest of the sandbox, and a guest that is refused was never started."""

from __future__ import annotations

import trio

from actors.connectors.port import Dispatch, NotDispatched
from helm.contracts.errors import Refused
from helm.contracts.form import JSONValue
from helm.guardian.connection import WasmConnection
from helm.runtime.sandbox.port import Guest, NoSandbox, Sandbox

SANDBOX: Sandbox = NoSandbox()
"""What guests run in. None is built in, so every guest is refused."""

MAX_GUESTS = 8
"""Guests of one connector at a time, each in a thread of its own (T4)."""


class WasmConnector:
    """Runs the pinned module of one connection."""

    def __init__(self, connection: WasmConnection, sandbox: Sandbox = SANDBOX) -> None:
        self._connection = connection
        self._sandbox = sandbox
        self._threads = trio.CapacityLimiter(MAX_GUESTS)

    async def dispatch(self, order: Dispatch, /) -> JSONValue:
        """Return the guest's answer; raises NotDispatched where the sandbox refuses the guest."""
        guest = Guest(module_hash=self._connection.module_hash, arguments=order.arguments, wall_ms=order.timeout_ms)
        try:
            return await trio.to_thread.run_sync(self._sandbox.run, guest, limiter=self._threads)
        except Refused as refusal:
            raise NotDispatched(refusal.code, refusal.reason) from refusal

    async def aclose(self) -> None:
        """Nothing is held between two guests."""
