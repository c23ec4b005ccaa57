"""The garbage collector, told what a kernel is like: much that lives for ever, and a belt that leaves no cycles behind.

What stands when a kernel opens is not looked at again while it is open. Young objects are counted by how many there
are more than before: at Python's own threshold, a belt full of cases has the collector go through them all the time
and find nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

import attrs

YOUNG = 50_000
"""More objects than before, at which the collector looks: above what a full belt holds, below 10 MiB of cycles (T4)."""


@attrs.define
class Sparing:
    """How many kernels of this process are open, and what held before the first."""

    kernels: int = 0
    before: tuple[int, int, int] = (0, 0, 0)

    @contextmanager
    def kernel(self) -> Iterator[None]:
        """Have the collector spare this process while a kernel is open; the last one puts everything back."""
        if not self.kernels:
            self.before = gc.get_threshold()
            gc.set_threshold(YOUNG, *self.before[1:])
        self.kernels += 1
        gc.freeze()
        try:
            yield
        finally:
            self.kernels -= 1
            if not self.kernels:
                gc.unfreeze()
                gc.set_threshold(*self.before)


SPARING = Sparing()
