"""Changing who stands in which relation to what."""

from __future__ import annotations

import attrs

from actors.commands.command import Command, attest
from actors.mailbox import Control
from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.guardian.memory import Memory
from helm.guardian.relations import RELATIONS_COMMAND, RelationsCommand, check_relations
from helm.trust.registry import Registry


@attrs.define(eq=False)
class ChangeRelations(Command):
    """Obey a signed change of relationships."""

    command: RelationsCommand
    signature: str
    registry: Registry | None

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Check key, signature, log, model and sequence, and let the tuples count from the next call on."""
        if self.registry is None or self.command.log_id != self.registry.log_id:
            raise Invalid("the command is for another log", "relations", "sign it for this log")
        key = self.registry.require(self.command.key_id, KeyPurpose.POLICY, self.registry.lamport + 1)
        check_relations(self.command, self.signature, key)
        memory.relations.apply(self.command, now_ms)
        body = RELATIONS_COMMAND.body(self.command)
        body |= {"add": [*self.command.add], "remove": [*self.command.remove]}
        return attest({"command": body, "obeyed_at_ms": now_ms, "signature": self.signature, "type": "RELATIONS"})
