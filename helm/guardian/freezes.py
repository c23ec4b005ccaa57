"""Freezes: which signed stop commands are in force (gate 0 reads them; HELM/Freeze/v1)."""

from __future__ import annotations

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import Form
from helm.contracts.reason import ReasonCode
from helm.crypto import domains
from helm.crypto.canonical import record_bytes
from helm.crypto.ed25519 import PublicKey, SignatureInvalid, Signer

SCOPES = ("global", "tenant", "agent")
ACTIONS = ("freeze", "unfreeze")


@attrs.frozen(kw_only=True, slots=False)
class FreezeCommand:
    """What an emergency key signs. `target` is "" for global, a tenant, or "tenant/principal" for an agent.

    `sequence` rises with every command of this log, so that an old unfreeze cannot be played again (T6).
    """

    action: str
    issued_at_ms: int
    key_id: str
    log_id: str
    reason: str
    scope: str
    sequence: int
    target: str

    def __attrs_post_init__(self) -> None:
        if self.action not in ACTIONS or self.scope not in SCOPES or (self.scope == "global") != (self.target == ""):
            raise ValueError(f"no such command: {self.action} {self.scope} {self.target!r}")
        if not 0 < len(self.reason) <= 500:
            raise ValueError("a freeze command gives its reason, in at most 500 characters")


FREEZE_COMMAND = Form(FreezeCommand)


def sign_command(command: FreezeCommand, signer: Signer) -> str:
    """Return the emergency key's signature, 128 hex digits, over the command."""
    return signer.sign(domains.FREEZE, record_bytes(FREEZE_COMMAND.body(command)))


def check_command(command: FreezeCommand, signature: str, key: PublicKey) -> None:
    """Raise Invalid unless `key` signed `command`."""
    try:
        key.verify(domains.FREEZE, record_bytes(FREEZE_COMMAND.body(command)), signature)
    except SignatureInvalid as problem:
        raise Invalid(str(problem), "freeze command", "sign it with the emergency key of this log") from problem


@attrs.define
class Freezes:
    """The stops in force, folded from commands in sequence."""

    sequence: int = 0
    in_force: set[tuple[str, str]] = attrs.field(factory=set)

    def check_next(self, command: FreezeCommand) -> None:
        """Raise Invalid for a command that is not the next one of this log."""
        if command.sequence != self.sequence + 1:
            raise Invalid(
                f"freeze command {command.sequence} does not follow {self.sequence}",
                "freeze command",
                "read the current sequence and sign again: an old command is never obeyed twice",
            )

    def apply(self, command: FreezeCommand) -> None:
        """Take a checked command into force."""
        self.check_next(command)
        self.sequence = command.sequence
        if command.action == "freeze":
            self.in_force.add((command.scope, command.target))
        else:
            self.in_force.discard((command.scope, command.target))

    def covering(self, tenant: str, principal: str) -> str:
        """Return the reason code of the widest stop that covers this principal, or ""."""
        if not self.in_force:
            return ""
        if ("global", "") in self.in_force:
            return ReasonCode.SYSTEM_FROZEN.value
        if ("tenant", tenant) in self.in_force:
            return ReasonCode.EMERGENCY_STOP_FENCED.value
        if ("agent", f"{tenant}/{principal}") in self.in_force:
            return ReasonCode.AGENT_KILLED.value
        return ""
