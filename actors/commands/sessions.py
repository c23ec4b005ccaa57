"""Opening and closing sessions."""

from __future__ import annotations

import attrs

from actors.commands.command import Command, attest
from actors.mailbox import Control
from helm.contracts.errors import Invalid
from helm.guardian.intake import Caller, check_name
from helm.guardian.memory import Memory


@attrs.define(eq=False)
class OpenSession(Command):
    """Open a session before its first call."""

    caller: Caller

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Bind the session; refuse one that exists."""
        for name, where in (
            (self.caller.tenant, "tenant"),
            (self.caller.principal, "principal"),
            (self.caller.session_id, "session_id"),
        ):
            check_name(name, where)
        key = (self.caller.tenant, self.caller.session_id)
        if memory.sessions.find(key) is not None:
            raise Invalid(
                "the session exists already", self.caller.session_id, "choose a session id that was never used"
            )
        memory.sessions.bind(key, self.caller.principal, now_ms)
        return attest({"opened_at_ms": now_ms, "type": "SESSION_OPENED"}, caller=self.caller)


@attrs.define(eq=False)
class CloseSession(Command):
    """Close a session for ever."""

    caller: Caller

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Close the caller's own session; closing twice changes nothing."""
        key = (self.caller.tenant, self.caller.session_id)
        binding = memory.sessions.find(key)
        if binding is None or binding.principal != self.caller.principal:
            raise Invalid("there is no such session of this principal", self.caller.session_id, "open it first")
        if binding.closed:
            return None
        memory.sessions.close(key, self.caller.principal, now_ms)
        return attest({"closed_at_ms": now_ms, "type": "SESSION_CLOSED"}, caller=self.caller)
