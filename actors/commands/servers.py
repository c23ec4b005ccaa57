"""What an approver says of MCP servers, and what was seen of them."""

from __future__ import annotations

from typing import ClassVar

import attrs

from actors.commands.command import Command, attest
from actors.mailbox import Control
from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.guardian.memory import Memory
from helm.guardian.servers import SERVER_COMMAND, ServerCommand, check_server_command
from helm.trust.registry import Registry


@attrs.define(eq=False)
class CommandServer(Command):
    """Obey a signed approval, or revocation, of an MCP server."""

    urgent: ClassVar[bool] = True

    command: ServerCommand
    signature: str
    registry: Registry | None

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Check key, signature, log and sequence, as every later start will, and put it in force."""
        if self.registry is None or self.command.log_id != self.registry.log_id:
            raise Invalid("the command is for another log", "server command", "sign it for this log")
        key = self.registry.require(self.command.key_id, KeyPurpose.APPROVAL, self.registry.lamport + 1)
        check_server_command(self.command, self.signature, key)
        memory.servers.apply(self.command)
        body = SERVER_COMMAND.body(self.command)
        return attest({"command": body, "signature": self.signature, "type": "MCP_SERVER"})


@attrs.define(eq=False)
class NoteDrift(Command):
    """Remember that an MCP server lists a tool as another one than was pinned."""

    server_id: str
    operation: str
    listed: str
    """The pin of what is listed now, "" for a tool that is gone."""

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Bar the tool until an approver has looked; the same drift again changes nothing."""
        if memory.servers.drifted.get(self.server_id, {}).get(self.operation) == self.listed:
            return None
        memory.servers.note_drift(self.server_id, self.operation, self.listed)
        return attest(
            {
                "listed": self.listed,
                "noted_at_ms": now_ms,
                "operation": self.operation,
                "server_id": self.server_id,
                "type": "MCP_DRIFT",
            }
        )
