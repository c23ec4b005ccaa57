"""Binding a delegation session, and ending one."""

from __future__ import annotations

import attrs

from actors.commands.command import Command, attest
from actors.mailbox import Control
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto.domains import KeyPurpose
from helm.guardian.delegation import (
    GRANT,
    REVOCATION,
    DelegationGrant,
    DelegationRevocation,
    check_grant,
    check_revocation,
)
from helm.guardian.memory import Memory
from helm.guardian.subset import check_new
from helm.trust.registry import Registry


@attrs.define(eq=False)
class BindDelegation(Command):
    """Put a signed delegation in force."""

    grant: DelegationGrant
    signature: str
    registry: Registry | None

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Check who signed it, that it is current and new, and that it grants no more than its delegator has."""
        grant = self.grant
        if self.registry is None or grant.log_id != self.registry.log_id:
            raise Invalid("the delegation is for another log", "delegation", "sign it for this log")
        key = self.registry.require(grant.key_id, KeyPurpose.DELEGATION, self.registry.lamport + 1)
        check_grant(grant, self.signature, key)
        check_new(grant, memory.policy_of(grant.tenant, grant.delegator), now_ms)
        name = memory.delegations.bind(grant)
        body: dict[str, JSONValue] = {"bound_at_ms": now_ms, "delegation_id": name, "grant": GRANT.body(grant)}
        return attest(body | {"signature": self.signature, "type": "DELEGATION_BOUND"})


@attrs.define(eq=False)
class RevokeDelegation(Command):
    """End a delegation before its time."""

    revocation: DelegationRevocation
    signature: str
    registry: Registry | None

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Check who signed it, as every later start will, and end the session at once."""
        revocation = self.revocation
        if self.registry is None or revocation.log_id != self.registry.log_id:
            raise Invalid("the revocation is for another log", "revocation", "sign it for this log")
        purpose = memory.delegations.revoker(revocation)
        key = self.registry.require(revocation.key_id, purpose, self.registry.lamport + 1)
        check_revocation(revocation, self.signature, key, purpose)
        memory.delegations.end(revocation.delegation_id, revocation.reason)
        body: dict[str, JSONValue] = {"command": REVOCATION.body(revocation), "revoked_at_ms": now_ms}
        return attest(body | {"signature": self.signature, "type": "DELEGATION_REVOKED"})
