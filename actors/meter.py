"""The meter: how many calls came to which end, and how long each took. Nothing is decided by it."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from time import perf_counter, time_ns
from typing import Final

import attrs

from actors.losses import Losses
from actors.mailbox import Case

BOUNDS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper ends of the spans of time that are told apart; what took longer is in one of its own."""

End = tuple[str, str, str]
"""Verdict, reason code and status: all of them from closed lists, so that no caller makes this table long (T4)."""


@attrs.define(eq=False)
class Meter:
    """What one kernel has answered since it was opened."""

    ends: Counter[End] = attrs.field(factory=Counter)
    spans: list[int] = attrs.field(factory=lambda: [0] * (len(BOUNDS_S) + 1))
    """Answers by how long they took: one for each of BOUNDS_S, and one for all that took longer."""
    total_s: float = 0.0
    """How long all of them took together."""
    failed_connections: int = 0
    """Clients' connections that ended by what nobody had foreseen."""
    since_ns: int = attrs.field(factory=time_ns)
    """Since when it counts, in POSIX nanoseconds."""
    losses: Losses = attrs.field(factory=Losses, repr=False)
    """What observers of this process were not told."""

    def begin(self, case: Case) -> None:
        """Note that a case was put on the belt."""
        case.taken_s = perf_counter()

    def end(self, case: Case, verdict: str) -> float:
        """Note that a case was answered with its durable receipt; return how long it took."""
        took_s = perf_counter() - case.taken_s
        self.total_s += took_s
        self.spans[bisect_left(BOUNDS_S, took_s)] += 1
        self.ends[verdict, str(case.code), str(case.status or "")] += 1
        return took_s
