"""Whether the loop has anything to run beside the task that asks."""

from __future__ import annotations

import trio


def is_anything_runnable() -> bool:
    """Tell whether any other task is ready to run now; what comes from outside later is not known yet."""
    return trio.lowlevel.current_statistics().tasks_runnable > 0
