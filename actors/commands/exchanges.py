"""Counting exchanges with a model."""

from __future__ import annotations

import attrs

from actors.commands.command import Command, attest
from actors.mailbox import Control
from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.exchanges import Ceilings
from helm.guardian.intake import Caller
from helm.guardian.memory import Memory


@attrs.define(eq=False)
class BeginExchange(Command):
    """Count one exchange with a model, and reserve the most that it may cost, before anything is sent."""

    caller: Caller
    reserved_microcents: int
    ceilings: Ceilings
    began_at_ms: int = attrs.field(default=0, init=False)
    """When the guardian let it begin."""

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Refuse what goes beyond a ceiling, and whose session it is not."""
        caller, key = self.caller, (self.caller.tenant, self.caller.session_id)
        binding = memory.sessions.find(key)
        if binding is not None and (binding.principal != caller.principal or binding.closed_at(now_ms)):
            what = "the session is closed, or belongs to another principal"
            raise Refused(ReasonCode.IDENTITY_ISOLATION_VIOLATION, what)
        memory.exchanges.check(key, caller.principal, now_ms, self.reserved_microcents, self.ceilings)
        memory.sessions.bind(key, caller.principal, now_ms)
        memory.exchanges.begin(key, caller.principal, now_ms, self.reserved_microcents)
        self.began_at_ms = now_ms
        return attest(
            {
                "began_at_ms": now_ms,
                "reserved_microcents": self.reserved_microcents,
                "type": "EXCHANGE_BEGUN",
            },
            caller=caller,
        )


@attrs.define(eq=False)
class SettleExchange(Command):
    """Put what an exchange cost in the place of what it reserved."""

    caller: Caller
    began_at_ms: int
    change_microcents: int

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Correct the account of the day on which the exchange began."""
        key = (self.caller.tenant, self.caller.session_id)
        memory.exchanges.settle(key, self.caller.principal, self.began_at_ms, self.change_microcents)
        return attest(
            {
                "began_at_ms": self.began_at_ms,
                "change_microcents": self.change_microcents,
                "type": "EXCHANGE_SETTLED",
            },
            caller=self.caller,
        )
