"""Reading a running kernel's figures from another thread: on the loop, so that all of them are of one moment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import attrs
import trio

from actors.figures import Figure, figures
from actors.kernel import Kernel


@attrs.define(eq=False)
class Reading:
    """Knows which kernel runs now, and how to ask the loop that it runs on."""

    _kernel: Kernel | None = attrs.field(default=None, init=False)
    _token: trio.lowlevel.TrioToken | None = attrs.field(default=None, init=False)

    @contextmanager
    def of(self, kernel: Kernel) -> Iterator[None]:
        """Read this kernel for as long as the body runs; entered on its loop."""
        self._kernel, self._token = kernel, trio.lowlevel.current_trio_token()
        try:
            yield
        finally:
            self._kernel = None

    def figures(self) -> Sequence[Figure]:
        """Return how the kernel fares, none where there is none; asked by another thread than the loop's.

        What goes wrong in reading them is raised here, and ends no loop.
        """
        if self._token is None:
            return ()
        try:
            return trio.from_thread.run_sync(self._now, trio_token=self._token)
        except trio.RunFinishedError:
            return ()

    def _now(self) -> Sequence[Figure]:
        return () if self._kernel is None else tuple(figures(self._kernel))
