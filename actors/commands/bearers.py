"""Issuing bearer keys, and taking them back."""

from __future__ import annotations

import attrs

from actors.commands.command import Command, attest
from actors.keys.bearer import BearerKey, BearerKeys
from actors.mailbox import Control
from helm.guardian.bearers import MAX_REASON, Issued, TakenBack, check_last, check_words
from helm.guardian.intake import Caller
from helm.guardian.memory import Memory


@attrs.define(eq=False)
class IssueBearerKey(Command):
    """Note that a key was issued. It opens nothing before the file of keys has it, and that comes after the log."""

    key: BearerKey
    operator: str

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Note it by its name: no node holds a hash of it."""
        key = self.key
        issued = Issued(
            bearer_key=key.name,
            expires_at_ms=key.expires_at_ms,
            issued_at_ms=now_ms,
            key_class=key.key_class,
            label=key.label,
            principal=key.principal,
            scope=key.scope,
            tenant=key.tenant,
        )
        memory.bearers.issue(issued)
        return attest({"type": "BEARER_KEY_ISSUED", **attrs.asdict(issued)}, caller=asked_by(self.operator))


@attrs.define(eq=False)
class RevokeBearerKey(Command):
    """Take a key back for ever. From this step on no door knows its holder by it."""

    name: str
    key: Issued | BearerKey | TakenBack
    reason: str
    operator: str
    keys: BearerKeys

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Take it back; twice changes nothing. Refuse the last key that opens the whole control plane."""
        check_words(self.reason, "reason", MAX_REASON, least=1)
        name, key = self.name, self.key
        if name in memory.bearers.revoked:
            return None
        check_last(name, self.keys.admins(memory.bearers, now_ms))
        taken = TakenBack(
            key_class=key.key_class,
            label=key.label,
            principal=key.principal,
            reason=self.reason,
            revoked_at_ms=now_ms,
            tenant=key.tenant,
        )
        memory.bearers.revoke(name, taken)
        said = {"bearer_key": name, "type": "BEARER_KEY_REVOKED", **attrs.asdict(taken)}
        return attest(said, caller=asked_by(self.operator))


def asked_by(operator: str) -> Caller:
    """Return whose admin key asked for it; "" for an embedding program."""
    return Caller(tenant="", principal=operator, session_id="")
