"""Velocity: how many calls one principal made to one tool lately, on the calls' own timestamps."""

from __future__ import annotations

from bisect import bisect_right, insort

import attrs

Walker = tuple[str, str, str]
"""(tenant, principal, tool)"""

KEPT = 4096
"""Most timestamps kept per principal and tool: no threshold may be higher, and memory stays bounded (T4)."""


@attrs.define
class Velocity:
    """The recent call times of each principal and tool that a velocity rule watches, in order.

    Calls are noted in the order in which they were decided, and again, after a restart, in the order in which the
    journal has them: the same times must come of both.
    """

    times_ms: dict[Walker, list[int]] = attrs.field(factory=dict, repr=False)

    def count(self, walker: Walker, now_ms: int, window_s: int) -> int:
        """Return how many calls of `walker` lie within the last `window_s` seconds, or after `now_ms`.

        Nothing is forgotten here: a clock that was set back asks again about what a later time had passed over.
        """
        times = self.times_ms.get(walker, [])
        return len(times) - bisect_right(times, now_ms - window_s * 1000)

    def note(self, walker: Walker, at_ms: int) -> None:
        """Count one call, whatever became of it."""
        times = self.times_ms.setdefault(walker, [])
        insort(times, at_ms)
        if len(times) > KEPT:
            del times[0]
