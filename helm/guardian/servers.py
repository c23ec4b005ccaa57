"""MCP servers: quarantined until an approver's key says otherwise, for the very tools that were pinned (T1, T3)."""

from __future__ import annotations

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import Form, Noun
from helm.contracts.reason import ReasonCode
from helm.crypto import domains
from helm.crypto.canonical import ordered_bytes, record_bytes
from helm.crypto.ed25519 import PublicKey, SignatureInvalid, Signer
from helm.crypto.hashing import hash_in

APPROVE, REVOKE = "approve", "revoke"

MAX_REASON = 500


class ServerCommand(Noun, frozen=True, kw_only=True):
    """What an approval key signs about one server.

    `pins_hash` names all the tools that are approved, as the policy pins them; "" for a revocation. `sequence` rises
    with every command of this log, so that an old approval cannot be played again (T6). `expires_at_ms` is 0 for a
    revocation, which never ends.
    """

    action: str
    expires_at_ms: int
    issued_at_ms: int
    key_id: str
    log_id: str
    pins_hash: str
    reason: str
    sequence: int
    server_id: str

    def __post_init__(self) -> None:
        if self.action not in (APPROVE, REVOKE) or (self.action == APPROVE) != (self.pins_hash != ""):
            raise ValueError(f"no such command: {self.action} with the pins {self.pins_hash!r}")
        if (self.action == APPROVE) != (self.expires_at_ms > 0):
            raise ValueError("an approval expires, a revocation does not")
        if not 0 < len(self.reason) <= MAX_REASON or not self.reason.isprintable():
            raise ValueError(f"a command about a server gives its reason, one line of at most {MAX_REASON} characters")


SERVER_COMMAND = Form(ServerCommand)


def sign_server_command(command: ServerCommand, signer: Signer) -> str:
    """Return the approval key's signature, 128 hex digits, over the command."""
    return signer.sign(domains.MCP_SERVER, ordered_bytes(command))


def check_server_command(command: ServerCommand, signature: str, key: PublicKey) -> None:
    """Raise Invalid unless `key` signed `command`."""
    try:
        key.verify(domains.MCP_SERVER, ordered_bytes(command), signature)
    except SignatureInvalid as problem:
        raise Invalid(str(problem), "server command", "sign it with the approval key of this log") from problem


def pins_hash(pins: dict[str, str]) -> str:
    """Return the name of a set of pinned tools, by operation: what an approval is for."""
    return hash_in(domains.MCP_PINS, record_bytes(dict(sorted(pins.items()))))


@attrs.define
class Servers:
    """What was said of every server, folded from commands in sequence, and what has drifted since."""

    sequence: int = 0
    said: dict[str, ServerCommand] = attrs.field(factory=dict)
    """The last command about each server."""
    drifted: dict[str, dict[str, str]] = attrs.field(factory=dict)
    """By server and operation: the pin of what is listed now, which is not the pinned one; "" for one that is gone."""

    def check_next(self, command: ServerCommand) -> None:
        """Raise Invalid for a command that is not the next one of this log."""
        if command.sequence != self.sequence + 1:
            raise Invalid(
                f"server command {command.sequence} does not follow {self.sequence}",
                "server command",
                "read the current sequence and sign again: an old command is never obeyed twice",
            )

    def apply(self, command: ServerCommand) -> None:
        """Take a checked command into force. Whoever approves has looked: what had drifted is compared anew."""
        self.check_next(command)
        self.sequence = command.sequence
        self.said[command.server_id] = command
        self.drifted.pop(command.server_id, None)

    def note_drift(self, server_id: str, operation: str, pin: str) -> None:
        """Remember that a tool is not listed as it is pinned."""
        self.drifted.setdefault(server_id, {})[operation] = pin

    def barring(self, server_id: str, operation: str, pins: str, now_ms: int) -> str:
        """Return why this tool of a server may not be called, its reason code first; "" where it may."""
        state = self.state(server_id, pins, now_ms)
        if state == "revoked":
            return f"{ReasonCode.PDP_DENY} the server {server_id} is revoked"
        if state != "approved":
            return (
                f"{ReasonCode.APPROVAL_REQUIRED} the server {server_id} is {state}: an approver must look at its tools"
            )
        if operation in self.drifted.get(server_id, {}):
            what = f"{operation} of the server {server_id} is not what was pinned"
            return f"{ReasonCode.SCHEMA_VIOLATION} {what}: it drifted between list and call"
        return ""

    def state(self, server_id: str, pins: str, now_ms: int) -> str:
        """Return a server's state under the pins of the active policy."""
        said = self.said.get(server_id)
        if said is None:
            return "quarantined"
        if said.action == REVOKE:
            return "revoked"
        if said.pins_hash != pins:
            return "quarantined"  # it was approved with other tools than the policy pins now
        return "approved" if now_ms < said.expires_at_ms else "expired"
