"""Asking for a checkpoint, and taking what witnesses sign of one."""

from __future__ import annotations

import attrs

from actors.commands.command import Command
from actors.mailbox import Control
from helm.guardian.memory import Memory
from helm.proofgraph.checkpoint import Cause


@attrs.define(eq=False)
class TakeCheckpoint(Command):
    """Have a checkpoint taken of everything that was entered before; where nothing was, the last one stands."""

    cause: Cause

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Change nothing: the notary takes the checkpoint when its place has come."""
        return Control(None, forces=self.cause)
