"""The intake of calls that name an idempotency key: one key is one call, one effect and one receipt (T6)."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from actors.library import Library
from actors.mailbox import Answer, Case, Overloaded
from helm.contracts.call import ToolCall
from helm.executor.idempotency import claim_of, same_call

MAX_WAITERS = 64
"""Duplicates that may wait for one call: they hold no place on the belt (T4)."""


@attrs.define
class Claimed:
    """A call in flight under a key, and how many duplicates wait for it."""

    case: Case
    waiters: int = 0


@attrs.define
class Intake:
    """Claims keys before a node is written or a budget touched.

    A duplicate of a call in flight waits for its answer; a duplicate of an executed call gets the first receipt back;
    the same key with other bytes is judged with that conflict, and refused. Refusals claim nothing.
    """

    library: Library
    submit: Callable[[Case], Case]
    in_flight: dict[str, Claimed] = attrs.field(factory=dict, repr=False)

    async def claim(self, call: ToolCall) -> Answer:
        """Return the answer of the key's one call."""
        name = claim_of(call)
        claimed = self.in_flight.get(name)
        if claimed is None:
            return await self._first(name, call)
        if same_call(call, claimed.case.call.tool, claimed.case.call.args_hash):
            return await self._wait(claimed)
        return await self.submit(Case(call, conflict=True)).slot.wait()

    async def _first(self, name: str, call: ToolCall) -> Answer:
        """Hold the key from this very step on, then see whether an earlier call answers for it."""
        case = Case(call, claim=name)
        self.in_flight[name] = Claimed(case)
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
            case.slot.fail(unknown=False)
            raise
        return await case.slot.wait()

    async def _earlier(self, name: str) -> Answer | None:
        seq = await self.library.find(name)
        return None if seq is None else await self.library.answer(seq)

    async def _wait(self, claimed: Claimed) -> Answer:
        if claimed.waiters >= MAX_WAITERS:
            raise Overloaded("too many duplicates of this call are waiting already")
        claimed.waiters += 1
        try:
            return attrs.evolve(await claimed.case.slot.wait(), replayed=True)
        finally:
            claimed.waiters -= 1

    def release(self, case: Case) -> None:
        """Forget a call that has ended: from here on its receipt, or nothing where it was refused, answers for it."""
        claimed = self.in_flight.get(case.claim)
        if claimed is not None and claimed.case is case:
            del self.in_flight[case.claim]
