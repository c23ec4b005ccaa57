"""Changing which keys count."""

from __future__ import annotations

import attrs

from actors.commands.command import Command
from actors.commands.start import trust_draft
from actors.mailbox import Control
from helm.contracts.errors import Invalid
from helm.guardian.memory import Memory
from helm.trust.event import EventKind, TrustEvent
from helm.trust.registry import Registry


@attrs.define(eq=False)
class ChangeTrust(Command):
    """Take a signed trust event: its change counts for everything that the guardian takes after it."""

    event: TrustEvent
    registry: Registry | None
    pen_id: str
    """The key that this kernel signs its receipts with."""

    def change(self, memory: Memory, now_ms: int) -> Control:
        """Fold the event, as every later start will; refuse what would leave this kernel without its pen."""
        event, registry = self.event, self.registry
        if registry is None:
            raise Invalid("no key is known yet", event.where, "start the kernel once to write its genesis")
        self._check_pen()
        registry.apply_ahead(event, registry.lamport)
        memory.note_trust(event)
        return Control(trust_draft(event), placed=lambda node: registry.settle(event.height, node.lamport))

    def _check_pen(self) -> None:
        """Refuse what ends the pen: receipts under way would be signed by a key that counts no more."""
        kind = self.event.kind
        if kind == EventKind.KEY_REVOKED and self.event.key_id == self.pen_id:
            hint = "rotate it first, then revoke the old one"
            raise Invalid("no kernel starts without its receipt-signing key", self.event.where, hint)
        if kind == EventKind.KEY_ROTATED and self.event.replaces == self.pen_id:
            hint = "stop the kernel, then say the same where the new key is: helm trust rotate execution --data-dir ..."
            raise Invalid("the running kernel signs its receipts with this key", self.event.where, hint)
