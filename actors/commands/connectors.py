"""Letting a halted connector serve again."""

from __future__ import annotations

import attrs

from actors.commands.command import Command, attest
from actors.mailbox import Control
from helm.contracts.errors import Invalid
from helm.guardian.intake import Caller
from helm.guardian.memory import Memory

MAX_REASON = 500
"""Characters of an operator's reason, as in a freeze command (T4)."""


@attrs.define(eq=False)
class ResumeConnector(Command):
    """Let a halted connector serve again, because an operator looked at it."""

    connector: str
    reason: str
    operator: str = ""
    """Whose admin key asked for it; "" for the embedding program."""

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Lift the halt; refuse where there is none, and without a reason that a record can hold."""
        if not 0 < len(self.reason) <= MAX_REASON or not self.reason.isprintable():
            raise Invalid(f"a reason is one line of 1 to {MAX_REASON} characters", "reason", "say why it may serve")
        halt = memory.halted.get(self.connector)
        if halt is None:
            raise Invalid("the connector is not halted", self.connector, "nothing to resume")
        memory.resume(self.connector, halt)
        return attest(
            {
                "connector": self.connector,
                "lifted": halt,
                "reason": self.reason,
                "resumed_at_ms": now_ms,
                "type": "CONNECTOR_RESUMED",
            },
            caller=Caller(tenant="", principal=self.operator, session_id=""),
        )
