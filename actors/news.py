"""News of approvals: whoever waits for an answer looks again whenever there is word of it, and once at the end."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from helm.guardian.approvals import Approvals
from helm.guardian.ceremony import WAITING


@attrs.define(eq=False)
class News:
    """Who waits for which approval. Each event is set once, when it is taken out."""

    approvals: Approvals
    check_running: Callable[[], None]
    """Raises KernelStopped once nobody answers any more."""
    _waiting: dict[str, trio.Event] = attrs.field(factory=dict, init=False)

    async def until_answered(self, approval_id: str, seconds: float) -> None:
        """Wait until no approver is waited for any more, `seconds` at most. Raises KernelStopped at the end."""
        with trio.move_on_after(seconds):
            while self.approvals.find(approval_id).state in WAITING:
                self.check_running()
                await self._waiting.setdefault(approval_id, trio.Event()).wait()
        self.check_running()

    def tell(self, approval_id: str) -> None:
        """Have whoever waits for this approval look again."""
        event = self._waiting.pop(approval_id, None)
        if event is not None:
            event.set()

    def tell_all(self) -> None:
        """Have everyone look again."""
        for approval_id in list(self._waiting):
            self.tell(approval_id)
