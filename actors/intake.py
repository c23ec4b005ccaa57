"""The intake of calls that name an idempotency key: one key is one call, one effect and one receipt (T6)."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from actors.claims import Claims
from actors.library import Library
from actors.line import Line
from actors.mailbox import Answer, Case, KernelStopped, Overloaded
from actors.origin import NOWHERE, Origin
from actors.stores.index import IndexFailed
from actors.stores.port import JournalFailed
from helm.contracts.call import ToolCall
from helm.executor.idempotency import claim_of, same_call

MAX_WAITERS = 64
"""Duplicates that may wait for one call: they hold no place on the belt (T4)."""


@attrs.define
class Claimed:
    """A call in flight under a key, and how many duplicates wait for it."""

    case: Case
    waiters: int = 0
    given_up: bool = False
    """Its caller left, or found no place, before it was on the belt: whoever waits must ask again."""


@attrs.define
class Intake:
    """Claims keys before a node is written or a budget touched.

    A duplicate of a call in flight waits for its answer; a duplicate of an executed call gets the first receipt back;
    the same key with other bytes is judged with that conflict, and refused. Refusals claim nothing.
    """

    library: Library
    claims: Claims
    """Those of the journal, and every one since."""
    submit: Callable[[Case], Case]
    in_flight: dict[str, Claimed] = attrs.field(factory=dict, repr=False)
    _ended: bool = attrs.field(default=False, init=False)
    _reading: set[trio.CancelScope] = attrs.field(factory=set, init=False, repr=False)

    async def claim(self, call: ToolCall, line: Line | None = None, origin: Origin = NOWHERE) -> Answer:
        """Return the answer of the key's one call; only the first one's line leads anywhere."""
        name = claim_of(call)
        while (claimed := self.in_flight.get(name)) is not None:
            if not same_call(call, claimed.case.call.tool, claimed.case.call.args_hash):
                return await self.submit(Case(call, conflict=True, origin=origin)).slot.wait()
            answer = await self._wait(claimed)
            if answer is not None:
                return answer
        return await self._first(name, Case(call, claim=name, line=line, origin=origin))

    def abandon(self) -> None:
        """Let nobody wait for a store that does not answer: the kernel has ended."""
        self._ended = True
        for scope in self._reading:
            scope.cancel()

    async def _first(self, name: str, case: Case) -> Answer:
        """Hold the key from this very step on, then see whether an earlier call answers for it."""
        call = case.call
        claimed = self.in_flight[name] = Claimed(case)
        try:
            earlier = await self._earlier(name)
            if earlier is None:
                self.submit(case)
            elif same_call(call, earlier.receipt.content.tool, earlier.receipt.content.args_hash):
                self.release(case)
                case.slot.resolve(earlier)
            else:
                self.release(case)
                case.claim, case.conflict = "", True
                self.submit(case)
        except BaseException:
            self.release(case)
            claimed.given_up = True
            case.slot.fail(unknown=False)
            raise
        return await case.slot.wait()

    async def _earlier(self, name: str) -> Answer | None:
        """Return what the journal answers, None where the key is new. Raises KernelStopped where it cannot be asked."""
        if self._ended:
            raise KernelStopped
        if not self.claims.make(name):
            return None
        with trio.CancelScope() as scope:
            self._reading.add(scope)
            try:
                seq = await self.library.find(name)
                return None if seq is None else await self.library.answer(seq)
            except (IndexFailed, JournalFailed) as problem:
                raise KernelStopped("the journal cannot be read") from problem
            finally:
                self._reading.discard(scope)
        raise KernelStopped

    async def _wait(self, claimed: Claimed) -> Answer | None:
        """Return the first one's answer, None where it gave up before it was on the belt."""
        if claimed.waiters >= MAX_WAITERS:
            raise Overloaded("too many duplicates of this call are waiting already")
        claimed.waiters += 1
        try:
            return (await claimed.case.slot.wait()).but(replayed=True)
        except KernelStopped:
            if claimed.given_up:
                return None
            raise
        finally:
            claimed.waiters -= 1

    def release(self, case: Case) -> None:
        """Forget a call that has ended: from here on its receipt, or nothing where it was refused, answers for it."""
        claimed = self.in_flight.get(case.claim)
        if claimed is not None and claimed.case is case:
            del self.in_flight[case.claim]
