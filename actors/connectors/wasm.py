"""WASI modules as tools: each order is a guest in a thread and a cell of its own, and leaves its evidence."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from time import perf_counter

import attrs
import trio

from actors.connectors.compiling import ModuleCode
from actors.connectors.guest_grant import surroundings
from actors.connectors.guest_thread import GuestThread, held_lock
from actors.connectors.patience import Patience
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
        self._idle: list[Seat] = []
        self._patience = Patience()

    @property
    def running(self) -> int:
        """How many guests run at this moment."""
        return self._running

    @trio.lowlevel.enable_ki_protection
    async def dispatch(self, order: Dispatch, /) -> JSONValue:
        """Return the guest's answer with its evidence. Raises NotDispatched where no guest was started, GuestFailed."""
        if order.sandbox_grant_hash != self._connection.grant_hash:
            raise NotDispatched(ReasonCode.SANDBOX_VIOLATION, "the order is for another grant than this sandbox's")
        try:
            await self._place()
        except trio.Cancelled:
            raise NotDispatched(ReasonCode.ERR_COMPUTE_TIME_EXHAUSTED, "no guest's place was free in time") from None
        try:
            seat = await self._seat()
        except BaseException:
            self._places.release()
            raise
        visit = Visit(seat, partial(self._guest, order.arguments), self._leave)
        self._running += 1
        visit.begin()
        run = self._evidence(order)  # while the thread wakes up
        await visit.wait(self._patience)
        return self._outcome(visit, run)

    async def aclose(self) -> None:
        """Let the cells go."""
        self._idle.clear()

    async def _place(self) -> None:
        """Take a guest's place, without a step of the loop where one is free."""
        await trio.lowlevel.checkpoint_if_cancelled()
        try:
            self._places.acquire_nowait()
        except trio.WouldBlock:
            await self._places.acquire()

    async def _seat(self) -> Seat:
        """Return a cell that nobody is in, with its thread. Raises NotDispatched for a module that cannot be run."""
        if self._idle:
            return self._idle.pop()
        limits = self._connection.grant.limits
        try:
            return Seat(await trio.to_thread.run_sync(Cell, await self._code.get(), limits))
        except GuestEnded as refused:
            raise Unreachable(refused.code, refused.reason) from refused
        except trio.Cancelled:
            raise NotDispatched(ReasonCode.ERR_COMPUTE_TIME_EXHAUSTED, "the module was not ready in time") from None

    def _leave(self) -> None:
        """Take a guest's place back: its thread is free."""
        self._running -= 1
        self._places.release()

    def _outcome(self, visit: Visit, run: SandboxRun) -> Ran:
        """Return the answer, with the evidence of its run. Raises what else became of the guest."""
        if not visit.is_over:  # its place comes back with its thread; its cell is nobody's any more
            reason = f"the guest did not end within {GRACE_S} s of its interruption: a folder of it does not answer"
            raise GuestUnknown(reason, run.but(trap=INTERRUPT))
        self._idle.append(visit.seat)
        try:
            answered = visit.outcome()
        except GuestEnded as end:
            if end.code is ReasonCode.SANDBOX_VIOLATION:  # what it was granted is not there: it never began
                raise Unreachable(end.code, end.reason) from end
            run = run.but(fuel_used=end.fuel_used, trap=end.trap)
            if end.has_written and end.code is ReasonCode.ERR_COMPUTE_TIME_EXHAUSTED:
                raise GuestUnknown("the guest was interrupted after it had written into a folder", run) from end
            written = "; it had written into a folder" if end.has_written else ""
            raise GuestFailed(end.code, end.reason + written, run) from end
        run = run.but(fuel_used=answered.fuel_used)
        try:
            return Ran(parse(answered.output), run)
        except Malformed as problem:
            raise ConnectorFailed(f"the guest's answer is no JSON: {problem}", run) from problem

    @contextmanager
    def _guest(self, arguments: bytes) -> Iterator[Guest]:
        """Yield a guest with what it is granted. Raises GuestEnded."""
        with surroundings(self._connection.grant, arguments, self._data_dir) as given:
            yield Guest(arguments, given)

    def _evidence(self, order: Dispatch) -> SandboxRun:
        """Return what the receipt says of a run that has not begun: the lease is this decision's, of this grant, for
        this long."""
        lease = {
            "decision_id": order.decision_id,
            "sandbox_grant_hash": order.sandbox_grant_hash,
            "wall_ms": order.timeout_ms,
        }
        return SandboxRun(
            fuel_used=0,
            lease_id=content_id("lease_", hash_in(domains.LEASE, record_bytes(lease))),
            limits=limits_of(self._connection.grant.limits, order.timeout_ms),
            module_hash=self._connection.grant.module_hash,
            trap="",
        )


def limits_of(limits: SandboxLimits, timeout_ms: int) -> tuple[tuple[str, int], ...]:
    """Return what one run may spend, by name: its time is its tool's, and never longer than the grant's."""
    return tuple(members(limits.but(wall_ms=timeout_ms)).items())


@attrs.define(eq=False)
class Seat:
    """A cell, and the thread that is its own."""

    cell: Sandbox
    thread: GuestThread = attrs.field(factory=GuestThread)


@attrs.define(eq=False)
class Visit:
    """One guest in one cell, in a thread. Whoever is cancelled meanwhile interrupts it, and waits: its end is near."""

    seat: Seat
    guest: Callable[[], AbstractContextManager[Guest]]
    """Brings the guest, in its thread: to open its folders may take a while."""
    leave: Callable[[], None]
    """Called once it has ended."""
    is_asked: bool = False
    """Whether the guest is to end: it is told to a cell that has not begun."""
    is_over: bool = False
    """Whether the guest has ended, and the loop knows."""
    took_s: float = math.inf
    """How long its thread was at it, once it has ended."""
    _answered: Answered | None = None
    _ended: BaseException | None = None
    _unfinished: threading.Lock = attrs.field(factory=held_lock)
    """Released by the thread when the guest has ended."""
    _waits: tuple[trio.lowlevel.TrioToken, trio.Event] | None = None
    """Who is told so through the loop's queue."""

    def begin(self) -> None:
        """Have the guest begin. The thread is one of our own, and neither abandoned nor waited for by its library."""
        try:
            self.seat.thread.begin(self._work)
        except RuntimeError:
            self._ended = GuestEnded(ReasonCode.SANDBOX_VIOLATION, "the machine has no thread for the guest")
            self._unfinished.release()

    async def wait(self, patience: Patience) -> None:
        """Wait for the guest's end, whatever that is.

        A cancellation ends here, in the outcome; whoever asked for it meets it again at the next step.
        """
        if await patience.wait(self._unfinished):
            self._end()
        else:
            await self._hear()
        patience.learn(self.took_s)

    async def _hear(self) -> None:
        """Wait for the guest's end while the loop goes on."""
        over = trio.Event()
        self._waits = (trio.lowlevel.current_trio_token(), over)
        if self._unfinished.acquire(blocking=False):  # it ended before it could see who waits
            self._end()
            return
        try:
            await over.wait()
        except trio.Cancelled:
            self.is_asked = True
            self.seat.cell.interrupt()
            with trio.move_on_after(GRACE_S, shield=True):
                await over.wait()

    def outcome(self) -> Answered:
        """Return the guest's answer, once. Raises GuestEnded."""
        ended, self._ended = self._ended, None  # it knows this visit by its frames: they are no circle
        try:
            if ended is not None:
                raise ended
        finally:
            del ended
        if self._answered is None:
            raise Broken("a guest that is not over has no outcome")
        return self._answered

    def _work(self) -> None:
        """Run the guest, in its thread, and tell whoever waits; what is left of it is put away behind that."""
        begun, cell = perf_counter(), self.seat.cell
        try:
            with self.guest() as guest:
                self._answered = cell.answer(guest, self)
        except BaseException as ended:  # whatever it is, it is the outcome: the thread has nobody else to tell
            self._ended = ended
        self.took_s = perf_counter() - begun
        self._unfinished.release()
        if self._waits is not None:
            token, over = self._waits
            with suppress(trio.RunFinishedError):  # a loop that is over need not know
                token.run_sync_soon(self._end, over)
        cell.clear()

    def _end(self, over: trio.Event | None = None) -> None:
        if not self.is_over:
            self.is_over = True
            self.leave()
        if over is not None:
            over.set()
