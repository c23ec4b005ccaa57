"""WASI modules as tools: each order is a guest in a thread and a cell of its own, and leaves its evidence."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import attrs
import trio

from actors.connectors.port import ConnectorFailed, Dispatch, GuestFailed, NotDispatched, Ran
from helm.contracts.errors import Broken, Malformed
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.contracts.sandbox import SandboxRun
from helm.crypto import domains
from helm.crypto.canonical import parse, record_bytes
from helm.crypto.hashing import content_id, hash_in
from helm.guardian.connection import WasmConnection
from helm.runtime.sandbox.cell import Cell
from helm.runtime.sandbox.guest import MAX_MODULE_BYTES, compiled
from helm.runtime.sandbox.port import Answered, Guest, GuestEnded, Sandbox

MAX_GUESTS = 8
"""Guests of one connector at a time, each in a thread and a cell of its own (T4)."""


def module_file(modules: Path, module_hash: str) -> Path:
    """Return where the module of this hash lies."""
    return modules / f"{module_hash.removeprefix('sha256:')}.wasm"


class WasmConnector:
    """Runs the pinned module of one connection, from `modules`, where each lies under its hash."""

    def __init__(self, connection: WasmConnection, modules: Path) -> None:
        self._connection = connection
        self._file = module_file(modules, connection.grant.module_hash)
        self._places = trio.Semaphore(MAX_GUESTS, max_value=MAX_GUESTS)
        self._running = 0
        self._loading = trio.Lock()
        self._code = b""
        self._idle: list[Sandbox] = []

    @property
    def running(self) -> int:
        """How many guests run at this moment."""
        return self._running

    async def dispatch(self, order: Dispatch, /) -> JSONValue:
        """Return the guest's answer with its evidence. Raises NotDispatched where no guest was started, GuestFailed."""
        if order.sandbox_grant_hash != self._connection.grant_hash:
            raise NotDispatched(ReasonCode.SANDBOX_VIOLATION, "the order is for another grant than this sandbox's")
        try:
            await self._places.acquire()
        except trio.Cancelled:
            raise NotDispatched(ReasonCode.ERR_COMPUTE_TIME_EXHAUSTED, "no guest's place was free in time") from None
        try:
            return await self._run(order, await self._cell())
        finally:
            self._places.release()

    async def aclose(self) -> None:
        """Let the cells go."""
        self._idle.clear()

    async def _cell(self) -> Sandbox:
        """Return a cell that nobody is in. Raises NotDispatched for a module that cannot be run."""
        if self._idle:
            return self._idle.pop()
        limits = self._connection.grant.limits
        try:
            async with self._loading:
                if not self._code:
                    self._code = await trio.to_thread.run_sync(self._compile)
            return await trio.to_thread.run_sync(Cell, self._code, limits)
        except GuestEnded as refused:
            raise NotDispatched(refused.code, refused.reason) from refused
        except trio.Cancelled:
            raise NotDispatched(ReasonCode.ERR_COMPUTE_TIME_EXHAUSTED, "the module was not ready in time") from None

    def _compile(self) -> bytes:
        """Return the machine code of the pinned module. Raises GuestEnded."""
        try:
            with self._file.open("rb") as module:
                found = module.read(MAX_MODULE_BYTES + 1)
        except OSError as problem:
            reason = f"the module {self._file.name} cannot be read: {problem.strerror}"
            raise GuestEnded(ReasonCode.SANDBOX_VIOLATION, reason) from problem
        if len(found) > MAX_MODULE_BYTES:
            raise GuestEnded(ReasonCode.SANDBOX_VIOLATION, f"the module is longer than {MAX_MODULE_BYTES} bytes")
        return compiled(found, self._connection.grant.module_hash, self._connection.grant.limits)

    async def _run(self, order: Dispatch, cell: Sandbox) -> Ran:
        visit = Visit(cell, Guest(order.arguments))
        self._running += 1
        try:
            await visit.make()
        finally:
            self._running -= 1
        self._idle.append(cell)
        try:
            answered = visit.outcome()
            return Ran(parse(answered.output), self._evidence(order, answered.fuel_used))
        except GuestEnded as end:
            raise GuestFailed(end.code, end.reason, self._evidence(order, end.fuel_used)) from end
        except Malformed as problem:
            raise ConnectorFailed(f"the guest's answer is no JSON: {problem}") from problem

    def _evidence(self, order: Dispatch, fuel_used: int) -> SandboxRun:
        """Return what the receipt says of a run: the lease is this decision's, of this grant, for this long."""
        lease = {
            "decision_id": order.decision_id,
            "sandbox_grant_hash": order.sandbox_grant_hash,
            "wall_ms": order.timeout_ms,
        }
        return SandboxRun(
            fuel_used=fuel_used,
            lease_id=content_id("lease_", hash_in(domains.LEASE, record_bytes(lease))),
            module_hash=self._connection.grant.module_hash,
        )


@attrs.define
class Visit:
    """One guest in one cell, in a thread. Whoever is cancelled meanwhile interrupts it, and waits: its end is near."""

    cell: Sandbox
    guest: Guest
    is_asked: bool = False
    """Whether the guest is to end: it is told to a cell that has not begun."""
    _told: Callable[[], Answered] | None = None
    _over: trio.Event = attrs.field(factory=trio.Event)

    async def make(self) -> None:
        """Run the guest to its end, whatever that is.

        A cancellation ends here, in the outcome; whoever asked for it meets it again at the next step. The thread is
        started by hand, because it must be neither abandoned nor waited for by whoever could interrupt it.
        """
        soon = trio.lowlevel.current_trio_token().run_sync_soon
        trio.lowlevel.start_thread_soon(
            partial(self.cell.run, self.guest, self), lambda told: soon(self._end, told.unwrap)
        )
        try:
            await self._over.wait()
        except trio.Cancelled:
            self.is_asked = True
            self.cell.interrupt()
            with trio.CancelScope(shield=True):  # bounded: a guest that is interrupted ends at its next branch
                await self._over.wait()

    def outcome(self) -> Answered:
        """Return the guest's answer. Raises GuestEnded."""
        if self._told is None:
            raise Broken("a guest that is not over has no outcome")
        return self._told()

    def _end(self, told: Callable[[], Answered]) -> None:
        self._told = told
        self._over.set()
