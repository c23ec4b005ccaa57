"""Ending the wait of approvals."""

from __future__ import annotations

import attrs

from actors.commands.command import Command, attest
from actors.mailbox import Control
from helm.guardian.memory import Memory


@attrs.define(eq=False)
class ExpireApprovals(Command):
    """End the wait of these approvals, as far as their deadlines have passed."""

    approval_ids: list[str]

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Expire what is due; nothing due changes nothing."""
        due = [name for name in self.approval_ids if memory.approvals.is_due(name, now_ms)]
        if not due:
            return None
        for approval_id in due:
            memory.approvals.expire(approval_id)
        return attest({"approval_ids": due, "expired_at_ms": now_ms, "type": "APPROVALS_EXPIRED"})
