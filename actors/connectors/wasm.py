"""WASI modules as tools: each order is a guest in a thread and a cell of its own, and leaves its evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path

import attrs
import trio

from actors.connectors.compiling import ModuleCode
from actors.connectors.guest_grant import surroundings
from actors.connectors.port import ConnectorFailed, Dispatch, GuestFailed, GuestUnknown, NotDispatched, Ran, Unreachable
from helm.contracts.errors import Broken, Malformed
from helm.contracts.form import JSONValue, members
from helm.contracts.reason import ReasonCode
from helm.contracts.sandbox import SandboxLimits, SandboxRun
from helm.crypto import domains
from helm.crypto.canonical import parse, record_bytes
from helm.crypto.hashing import content_id, hash_in
from helm.guardian.connection import WasmConnection
from helm.runtime.sandbox.cell import Cell
from helm.runtime.sandbox.port import Answered, Guest, GuestEnded, Sandbox
from helm.runtime.sandbox.traps import INTERRUPT

GRACE_S = 10.0
"""How long the end of an interrupted guest is waited for: it comes at its next branch, unless a file system hangs."""

MAX_GUESTS = 8
"""Guests of one connector at a time, each in a thread and a cell of its own (T4)."""


class WasmConnector:
    """Runs the pinned module of one connection, from `modules`, where each lies under its hash."""

    def __init__(self, connection: WasmConnection, modules: Path) -> None:
        self._connection = connection
        self._data_dir = modules.parent
        self._places = trio.Semaphore(MAX_GUESTS, max_value=MAX_GUESTS)
        self._running = 0
        self._code = ModuleCode(connection.grant, modules)
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
            cell = await self._cell()
        except BaseException:
            self._places.release()
            raise
        visit = Visit(cell, partial(self._guest, order.arguments), self._leave)
        self._running += 1
        await visit.make()
        return self._outcome(order, visit)

    async def aclose(self) -> None:
        """Let the cells go."""
        self._idle.clear()

    async def _cell(self) -> Sandbox:
        """Return a cell that nobody is in. Raises NotDispatched for a module that cannot be run."""
        if self._idle:
            return self._idle.pop()
        limits = self._connection.grant.limits
        try:
            return await trio.to_thread.run_sync(Cell, await self._code.get(), limits)
        except GuestEnded as refused:
            raise Unreachable(refused.code, refused.reason) from refused
        except trio.Cancelled:
            raise NotDispatched(ReasonCode.ERR_COMPUTE_TIME_EXHAUSTED, "the module was not ready in time") from None

    def _leave(self) -> None:
        """Take a guest's place back: its thread is free."""
        self._running -= 1
        self._places.release()

    def _outcome(self, order: Dispatch, visit: Visit) -> Ran:
        """Return the answer, with its evidence. Raises what else became of the guest."""
        if not visit.is_over:  # its place comes back with its thread; its cell is nobody's any more
            reason = f"the guest did not end within {GRACE_S} s of its interruption: a folder of it does not answer"
            raise GuestUnknown(reason, self._evidence(order, trap=INTERRUPT))
        self._idle.append(visit.cell)
        try:
            answered = visit.outcome()
        except GuestEnded as end:
            if end.code is ReasonCode.SANDBOX_VIOLATION:  # what it was granted is not there: it never began
                raise Unreachable(end.code, end.reason) from end
            run = self._evidence(order, end.fuel_used, end.trap)
            if end.has_written and end.code is ReasonCode.ERR_COMPUTE_TIME_EXHAUSTED:
                raise GuestUnknown("the guest was interrupted after it had written into a folder", run) from end
            written = "; it had written into a folder" if end.has_written else ""
            raise GuestFailed(end.code, end.reason + written, run) from end
        run = self._evidence(order, answered.fuel_used)
        try:
            return Ran(parse(answered.output), run)
        except Malformed as problem:
            raise ConnectorFailed(f"the guest's answer is no JSON: {problem}", run) from problem

    @contextmanager
    def _guest(self, arguments: bytes) -> Iterator[Guest]:
        """Yield a guest with what it is granted. Raises GuestEnded."""
        with surroundings(self._connection.grant, arguments, self._data_dir) as given:
            yield Guest(arguments, given)

    def _evidence(self, order: Dispatch, fuel_used: int = 0, trap: str = "") -> SandboxRun:
        """Return what the receipt says of a run: the lease is this decision's, of this grant, for this long."""
        lease = {
            "decision_id": order.decision_id,
            "sandbox_grant_hash": order.sandbox_grant_hash,
            "wall_ms": order.timeout_ms,
        }
        return SandboxRun(
            fuel_used=fuel_used,
            lease_id=content_id("lease_", hash_in(domains.LEASE, record_bytes(lease))),
            limits=limits_of(self._connection.grant.limits, order.timeout_ms),
            module_hash=self._connection.grant.module_hash,
            trap=trap,
        )


def limits_of(limits: SandboxLimits, timeout_ms: int) -> tuple[tuple[str, int], ...]:
    """Return what one run may spend, by name: its time is its tool's, and never longer than the grant's."""
    return tuple(members(limits.but(wall_ms=timeout_ms)).items())


Told = Callable[[], Answered]
"""Returns a guest's answer, or raises what ended it."""


@attrs.define
class Visit:
    """One guest in one cell, in a thread. Whoever is cancelled meanwhile interrupts it, and waits: its end is near."""

    cell: Sandbox
    guest: Callable[[], AbstractContextManager[Guest]]
    """Brings the guest, in its thread: to open its folders may take a while."""
    leave: Callable[[], None]
    """Called once its thread is free."""
    is_asked: bool = False
    """Whether the guest is to end: it is told to a cell that has not begun."""
    _told: Told | None = None
    _over: trio.Event = attrs.field(factory=trio.Event)

    async def make(self) -> None:
        """Run the guest to its end, whatever that is.

        A cancellation ends here, in the outcome; whoever asked for it meets it again at the next step. The thread is
        started by hand, because it must be neither abandoned nor waited for by whoever could interrupt it.
        """
        token = trio.lowlevel.current_trio_token()
        try:
            trio.lowlevel.start_thread_soon(self._work, lambda told: tell(token, self._end, told.unwrap))
        except RuntimeError:
            self._end(no_thread)
        try:
            await self._over.wait()
        except trio.Cancelled:
            self.is_asked = True
            self.cell.interrupt()
            with trio.move_on_after(GRACE_S, shield=True):
                await self._over.wait()

    @property
    def is_over(self) -> bool:
        """Tell whether the guest has ended, and its thread is free."""
        return self._over.is_set()

    def outcome(self) -> Answered:
        """Return the guest's answer. Raises GuestEnded."""
        if self._told is None:
            raise Broken("a guest that is not over has no outcome")
        return self._told()

    def _work(self) -> Answered:
        with self.guest() as guest:
            return self.cell.run(guest, self)

    def _end(self, told: Told) -> None:
        self._told = told
        self._over.set()
        self.leave()


def tell(token: trio.lowlevel.TrioToken, end: Callable[[Told], None], told: Told) -> None:
    """Tell the loop, from a guest's thread, how it ended; a loop that is over need not know."""
    with suppress(trio.RunFinishedError):
        token.run_sync_soon(end, told)


def no_thread() -> Answered:
    """Tell that no guest could be started. Raises GuestEnded."""
    raise GuestEnded(ReasonCode.SANDBOX_VIOLATION, "the machine has no thread for the guest")
