"""Asking for a checkpoint, and taking what witnesses sign of one."""

from __future__ import annotations

import attrs

from actors.commands.command import Command, attest
from actors.mailbox import Control
from helm.evidence.checkpoints import COSIGNED, Checkpoints, Cosigned
from helm.guardian.memory import Memory
from helm.proofgraph.checkpoint import Cause
from helm.trust.registry import Registry


@attrs.define(eq=False)
class TakeCheckpoint(Command):
    """Have a checkpoint taken of everything that was entered before; where nothing was, the last one stands."""

    cause: Cause

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Change nothing: the notary takes the checkpoint when its place has come."""
        return Control(None, forces=self.cause)


@attrs.define(eq=False)
class TakeCosignature(Command):
    """Take what a witness signed of a checkpoint that is durable."""

    said: Cosigned
    chain: Checkpoints
    registry: Registry | None

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Check it as every later start will; the same again changes nothing."""
        if self.chain.is_cosigned(self.said):
            return None
        lamport = 0 if self.registry is None else self.registry.lamport + 1
        self.chain.cosign(self.said, self.registry, lamport, "cosignature")
        return attest(COSIGNED.body(self.said) | {"type": "CHECKPOINT_COSIGNED"})
