"""Freeze and unfreeze."""

from __future__ import annotations

from typing import ClassVar

import attrs

from actors.commands.command import Command, attest
from actors.mailbox import Control
from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.guardian.freezes import FREEZE_COMMAND, FreezeCommand, check_command
from helm.guardian.memory import Memory
from helm.trust.registry import Registry


@attrs.define(eq=False)
class Freeze(Command):
    """Obey a signed freeze or unfreeze."""

    urgent: ClassVar[bool] = True
    halts: ClassVar[bool] = True

    command: FreezeCommand
    signature: str
    registry: Registry | None

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Check key, signature, log and sequence, as every later start will, and put the stop in or out of force."""
        if self.registry is None or self.command.log_id != self.registry.log_id:
            raise Invalid("the command is for another log", "freeze command", "sign it for this log")
        key = self.registry.require(self.command.key_id, KeyPurpose.EMERGENCY, self.registry.lamport + 1)
        check_command(self.command, self.signature, key)
        memory.freezes.apply(self.command)
        body = FREEZE_COMMAND.body(self.command)
        return attest({"command": body, "signature": self.signature, "type": "FREEZE"})
