"""How calls are observed. Unobserved, nothing of this is on the belt; observed, it notes and never waits."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from time import time_ns
from typing import Final

import attrs
from trio.lowlevel import disable_ki_protection

from actors.connectors.port import Dispatch
from actors.executor import Executor
from actors.losses import Losses
from actors.mailbox import Case, Trace
from actors.meter import Meter
from actors.origin import Origin
from helm.contracts.errors import Broken
from helm.contracts.form import JSONValue, Noun
from helm.guardian.policy import UNDECLARED, ToolRule
from helm.receipts.chain import SealedReceipt

LOW_BITS: Final = 2**64 - 1
"""The part of a trace id by which samplers decide, so that all who sample by it choose the same traces."""


class Ended(Noun, frozen=True, gc=True):
    """One call that was answered, as observers are told of it: nothing that a caller wrote but names and ids."""

    sealed: SealedReceipt
    origin: Origin
    tool: str
    """Its name where the policy has such a tool, "" for any other: that one is the caller's own words."""
    approval_id: str
    took_s: float
    ended_ns: int
    trace: Trace | None


Tell = Callable[[Ended], None]
"""Takes note of one answer. Must not raise, must not wait: it is called by the office that answers."""


@attrs.frozen
class Sampler:
    """Chooses the calls that are traced, by their trace ids; the flag of a caller is nothing to it.

    A caller who could switch tracing on for all of its calls could make them dear (T4).
    """

    share: float

    def trace_of(self, traceparent: str) -> Trace | None:
        """Return the place in a trace of a call that is chosen: in its caller's, or in one of its own."""
        if traceparent:
            trace_id, parent_id = int(traceparent[3:35], 16), int(traceparent[36:52], 16)
        else:
            trace_id, parent_id = secrets.randbits(128) | 1 << 127, 0
        if trace_id & LOW_BITS >= self.share * (LOW_BITS + 1):
            return None
        spans = secrets.randbits(128)
        return Trace(trace_id, parent_id, spans >> 64 or 1, spans & LOW_BITS or 1, time_ns())


@attrs.define(eq=False)
class ObservedMeter(Meter):
    """Tells observers of each answer, beside counting it."""

    sampler: Sampler | None = None
    tell_all: Tell | None = None
    tell_traced: Tell | None = None

    def begin(self, case: Case) -> None:
        """Note that a case was put on the belt, and let it go on as a part of its trace where it is traced."""
        super().begin(case)
        if self.sampler is not None:
            trace = self.sampler.trace_of(case.origin.traceparent)
            if trace is not None:
                case.trace = trace
                case.origin = Origin(case.origin.request_id, f"00-{trace.trace_id:032x}-{trace.tool_id:016x}-01")

    def end(self, case: Case, verdict: str) -> float:
        """Note that a case was answered."""
        took_s = super().end(case, verdict)
        if self.tell_all is not None:
            self.tell_all(ended(case, took_s))
        if self.tell_traced is not None and case.trace is not None:
            self.tell_traced(ended(case, took_s))
        return took_s


class ObservedExecutor(Executor):
    """Notes when an effect was begun, and when its outcome was known."""

    @disable_ki_protection
    async def _dispatch(self, order: Dispatch, case: Case, rule: ToolRule) -> JSONValue:
        trace = case.trace
        if trace is None:
            return await super()._dispatch(order, case, rule)
        trace.sent_ns = time_ns()
        try:
            return await super()._dispatch(order, case, rule)
        finally:
            trace.back_ns = time_ns()


@attrs.frozen(kw_only=True)
class Observing:
    """Who observes a kernel's calls: makes its meter, and says what lets its effects happen."""

    meter: Callable[[], Meter] = Meter
    executor: type[Executor] = Executor


UNOBSERVED: Final = Observing()


def observing(losses: Losses, *, share: float, tell_all: Tell | None, tell_traced: Tell | None) -> Observing:
    """Return who tells `tell_all` of every answer, and `tell_traced` of those in the traces that are sampled."""
    if tell_all is None and tell_traced is None:
        return Observing(meter=partial(Meter, losses=losses))
    sampler = None if tell_traced is None else Sampler(share)
    meter = partial(ObservedMeter, losses=losses, sampler=sampler, tell_all=tell_all, tell_traced=tell_traced)
    return Observing(meter=meter, executor=Executor if sampler is None else ObservedExecutor)


def ended(case: Case, took_s: float) -> Ended:
    """Return what observers are told of a case that was answered."""
    if case.sealed is None:
        raise Broken("observers are told of a call without a receipt")
    judgement = case.judged()
    return Ended(
        sealed=case.sealed,
        origin=case.origin,
        tool=case.call.tool if is_known(judgement.rule) else "",
        approval_id=judgement.decision.content.approval_id,
        took_s=took_s,
        ended_ns=time_ns(),
        trace=case.trace,
    )


def is_known(rule: ToolRule | None) -> bool:
    """Say whether the policy declares the tool: the name of any other is whatever its caller wrote."""
    return rule is not None and rule is not UNDECLARED
