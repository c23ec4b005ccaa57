"""The decision points' office: asks, beforehand and under a deadline, what the guardian will judge by.

It decides nothing. What a point said, or that it said nothing, is put into the case, and the case goes back to the
guardian. A point that is slow or dead holds its own few places, and no other call waits for it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import attrs
import trio

from actors.connectors.opa import OpaClient, PointFailed
from actors.connectors.resolver import Resolver, system_resolver
from actors.mailbox import Case
from actors.process.clock import Clock
from helm.contracts.errors import Broken
from helm.guardian.opa import advice_of, no_advice
from helm.guardian.points import Advice, OpaPoint, Question


@attrs.define(eq=False)
class DecisionPoints:
    """Asks the points of whichever policy a question comes from."""

    clock: Clock
    give_back: Callable[[Case], None]
    start: Callable[[Case], None]
    """Starts a task that awaits `ask`, for as long as calls are worked on."""
    resolver: Resolver = attrs.field(factory=system_resolver)
    _clients: dict[str, tuple[OpaPoint, OpaClient]] = attrs.field(factory=dict, init=False, repr=False)
    """By the point's name: whom the latest policy means by it."""
    _asking: Counter[str] = attrs.field(factory=Counter, init=False, repr=False)

    def send(self, case: Case) -> None:
        """Have the question of `case` asked, where a place is free; one more waits for nobody and is an error (T4)."""
        question = asked(case)
        point = question.point
        if self._asking[point.name] < point.places:
            self._asking[point.name] += 1
            self.start(case)
            return
        error = f"{point.places} questions are under way already"
        self._return(case, no_advice(question, error, asked_at_ms=self.clock.now_ms(), latency_ms=0))

    async def ask(self, case: Case) -> None:
        """Ask what the case was sent with, within the point's deadline, and give the case back with what was said."""
        question, asked_at_ms, begun = asked(case), self.clock.now_ms(), trio.current_time()
        point = question.point
        body, error = b"", f"no answer within {point.deadline_ms} ms"
        with trio.move_on_after(point.deadline_ms / 1000):
            try:
                body, error = await (await self._client(point)).ask(question.request), ""
            except PointFailed as problem:
                error = str(problem)
        latency_ms = math.ceil((trio.current_time() - begun) * 1000)
        self._asking[point.name] -= 1
        if error:
            advice = no_advice(question, error, asked_at_ms=asked_at_ms, latency_ms=latency_ms)
        else:
            advice = advice_of(question, body, asked_at_ms=asked_at_ms, latency_ms=latency_ms)
        self._return(case, advice)

    async def aclose(self) -> None:
        """Close every connection; nothing is asked any more."""
        for _, client in self._clients.values():
            await client.aclose()

    def _return(self, case: Case, advice: Advice) -> None:
        case.advice = advice
        self.give_back(case)

    async def _client(self, point: OpaPoint) -> OpaClient:
        """Return the connections to a point; another policy's point of the same name has others."""
        known, client = self._clients.get(point.name, (None, None))
        if known == point and client is not None:
            return client
        self._clients[point.name] = point, (fresh := OpaClient(point, resolver=self.resolver))
        if client is not None:
            await client.aclose()
        return fresh


def asked(case: Case) -> Question:
    """Return what the case was sent here with."""
    if case.question is None:
        raise Broken("a case came to be asked about without a question")
    return case.question
