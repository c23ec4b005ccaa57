"""Velocity: how many calls one principal made to one tool lately, on the calls' own timestamps."""

from __future__ import annotations

from collections import deque

import attrs

Walker = tuple[str, str, str]
"""(tenant, principal, tool)"""

KEPT = 4096
"""Most timestamps kept per principal and tool: no threshold may be higher, and memory stays bounded (T4)."""


@attrs.define
class Velocity:
    """The recent call times of each principal and tool that a velocity rule watches."""

    times_ms: dict[Walker, deque[int]] = attrs.field(factory=dict, repr=False)

    def count(self, walker: Walker, now_ms: int, window_s: int) -> int:
        """Return how many calls of `walker` lie within the last `window_s` seconds, forgetting older ones."""
        times = self.times_ms.get(walker)
        if times is None:
            return 0
        oldest = now_ms - window_s * 1000
        while times and times[0] <= oldest:
            times.popleft()
        return len(times)

    def note(self, walker: Walker, now_ms: int) -> None:
        """Count one call, whatever became of it."""
        times = self.times_ms.get(walker)
        if times is None:
            times = self.times_ms[walker] = deque(maxlen=KEPT)
        if times and now_ms < times[-1]:  # a refusal is noted from the journal after what was allowed meanwhile
            self.times_ms[walker] = deque(sorted((*times, now_ms)), maxlen=KEPT)
        else:
            times.append(now_ms)
