"""The one clock: wall time enters the house here, as a number in a field; it never orders anything."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Whatever tells the time of day."""

    def now_ms(self) -> int:
        """Return POSIX time in milliseconds."""


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Return POSIX time in milliseconds."""
        return time.time_ns() // 1_000_000
