"""Commands under way: each holds a place of its own until it has left the belt, whether or not anyone waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from actors.commands.command import Command
from actors.mailbox import Control, Overloaded

CONTROL_PLACES: Final = 32
"""Commands under way at once; they travel the same channels as cases, so they have places of their own."""

URGENT_PLACES: Final = 8
"""More of them, for stops alone: no flood of other commands keeps an operator from freezing the system (T4)."""

OWN_PLACES: Final = 16
"""For what the kernel itself writes: its start, and the deadlines that pass."""

CAPACITY: Final = 2 * CONTROL_PLACES + URGENT_PLACES + OWN_PLACES
"""What all of them put on the belt at most: a command has two events."""


@attrs.define(eq=False)
class Commanding:
    """Hands commands to the guardian, and knows which of them are not settled."""

    post: Callable[[Command], None]
    """Puts a command on the belt; never waits."""
    _under_way: set[Command] = attrs.field(factory=set, init=False)

    async def command(self, command: Command) -> Control | None:
        """Have a command of an operator's obeyed. Raises Overloaded where no place is free, and as `pass_on`."""
        self._under_way = {other for other in self._under_way if not other.settled}
        if len(self._under_way) >= CONTROL_PLACES + (URGENT_PLACES if command.urgent else 0):
            raise Overloaded("too many commands under way")
        return await self.pass_on(command)

    async def pass_on(self, command: Command) -> Control | None:
        """Have a command obeyed; return its event once it is durable, None where nothing changed.

        Raises Invalid or Refused where it is refused, KernelStopped where the kernel ended first.
        """
        self._under_way.add(command)
        self.post(command)
        return await command.done()

    @property
    def owes(self) -> bool:
        """Whether one was obeyed and its event is not durable yet."""
        return any(command.owes for command in self._under_way)

    def abandon(self) -> None:
        """Tell whoever waits that the kernel ended first."""
        for command in list(self._under_way):
            command.fail()
