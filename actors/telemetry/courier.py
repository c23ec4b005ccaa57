"""The courier: carries spans and figures to a collector, in a thread of its own, and counts what it cannot carry."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Final, Protocol

import attrs

from actors.figures import Figure
from actors.losses import Losses
from actors.observing import Ended
from actors.telemetry.satchel import Satchel

MAX_WAITING: Final = 8192
"""Calls whose spans wait for the collector; more are lost, and counted (T4)."""

BATCH: Final = 512
"""Calls in one message to the collector."""

FLUSH_S: Final = 2.0
"""The longest that a span waits for others to travel with."""

LAST_WORDS_S: Final = 3.0
"""How long the end of the program waits for the last message: a collector that is gone must not hold it up."""


class Collector(Protocol):
    """Where telemetry goes. It is asked by one thread, and may take its time."""

    def spans(self, calls: Sequence[Ended], /) -> bool:
        """Send the spans of these calls; return whether they were taken."""
        ...

    def figures(self, found: Sequence[Figure], /) -> bool:
        """Send these figures; return whether they were taken."""
        ...

    def abandon(self) -> None:
        """Stop trying: called by another thread."""
        ...


@attrs.define(eq=False)
class Courier:
    """Takes calls from the loop in one step, and never makes it wait."""

    collector: Collector
    losses: Losses
    read: Callable[[], Sequence[Figure]]
    """Reads the figures; called by the courier's thread."""
    interval_s: float
    """Between two messages of figures."""
    last_words_s: float = LAST_WORDS_S
    _satchel: Satchel[Ended] = attrs.field(init=False, repr=False)

    @_satchel.default
    def _empty(self) -> Satchel[Ended]:
        return Satchel("helm-telemetry", MAX_WAITING, BATCH, self.last_words_s)

    def take(self, ended: Ended) -> None:
        """Take what is to be told of one call, or count it as lost where there is no room."""
        if not self._satchel.put(ended):
            self.losses.spans_refused += spans_of(ended)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Carry for as long as the body runs, and a moment longer."""
        try:
            with self._satchel.carried(self.run):
                yield
        finally:
            self.collector.abandon()

    def run(self) -> None:
        """Carry until closed. What still waits then is carried first."""
        due_at = monotonic() + self.interval_s
        while True:
            is_last = self._satchel.wait(max(0.0, min(FLUSH_S, due_at - monotonic())))
            self._carry()
            if monotonic() >= due_at or is_last:
                self._tell_figures()
                due_at = monotonic() + self.interval_s
            if is_last:
                return

    def _carry(self) -> None:
        for calls in self._satchel.batches():
            if not self.collector.spans(calls):
                self.losses.spans_undelivered += sum(map(spans_of, calls))

    def _tell_figures(self) -> None:
        found = self.read()
        if found and not self.collector.figures(found):
            self.losses.figures_undelivered += 1


def spans_of(ended: Ended) -> int:
    """Return how many spans tell of a call: one for the decision, and one for its effect where it had one."""
    return 2 if ended.trace is not None and ended.trace.sent_ns else 1
