"""The places in flight: a call holds one from the intake to its answer, and overload is refused here alone (T4)."""

from __future__ import annotations

import attrs
import trio

from actors.mailbox import Case, Overloaded


@attrs.define(eq=False)
class Places:
    """So many for everyone, and so many of them for any one principal."""

    most: int
    most_of_one: int
    cases: set[Case] = attrs.field(factory=set, init=False)
    """Who holds one."""
    _held: dict[tuple[str, str], int] = attrs.field(factory=dict, init=False)
    _emptied: trio.Event | None = attrs.field(default=None, init=False)
    """There while somebody waits for the last one to leave."""

    def check_free(self, case: Case) -> None:
        """Raise Overloaded where no place is free for `case`."""
        if len(self.cases) >= self.most or self._held.get(holder_of(case), 0) >= self.most_of_one:
            raise Overloaded("too many calls in flight: nothing was judged, try again shortly")

    def take(self, case: Case) -> None:
        """Give `case` a place."""
        self.cases.add(case)
        holder = holder_of(case)
        self._held[holder] = self._held.get(holder, 0) + 1

    def leave(self, case: Case) -> None:
        """Take the place of `case` back."""
        self.cases.discard(case)
        holder = holder_of(case)
        left = self._held[holder] - 1
        if left:
            self._held[holder] = left
        else:
            del self._held[holder]
        if self._emptied is not None and not self.cases:
            self._emptied.set()

    async def wait_empty(self) -> None:
        """Return once nobody holds a place; whoever takes one meanwhile is waited for too."""
        while self.cases:
            self._emptied = self._emptied or trio.Event()
            await self._emptied.wait()
            self._emptied = None


def holder_of(case: Case) -> tuple[str, str]:
    """Return whose places a case counts against."""
    return (case.call.tenant, case.call.principal)
