"""Activating a policy."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from actors.commands.command import Command, attest
from actors.mailbox import Control
from actors.signed_policy import SignedPolicy, check_signed
from helm.contracts.form import JSONValue
from helm.guardian.bundle_signature import check_succession
from helm.guardian.memory import Active, Memory
from helm.trust.registry import Registry


@attrs.define(eq=False)
class ActivatePolicy(Command):
    """Make a signed policy the active one, and plug its connectors in the same step."""

    signed: SignedPolicy
    registry: Registry | None
    plug: Callable[[], None]

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Put the policy in force; refuse one that does not follow the active one. The active one again is no event."""
        policy = self.signed.policy
        check_signed(self.signed, self.registry)  # here: a key revoked a moment ago puts nothing in force
        check_succession(memory.active, policy)
        again = memory.active is not None and memory.active.policy_hash == policy.policy_hash
        memory.policy = policy
        memory.active = Active(scope=policy.scope, epoch=policy.epoch, policy_hash=policy.policy_hash)
        self.plug()
        if again:
            return None
        return attest(activation(self.signed, now_ms), beside=(b'"bundle":' + policy.document,))


def activation(signed: SignedPolicy, now_ms: int) -> dict[str, JSONValue]:
    """Return the payload of a policy's activation."""
    policy, signature = signed.policy, signed.signature
    return {
        "activated_at_ms": now_ms,
        "epoch": policy.epoch,
        "key_id": signature.key_id,
        "p0_ceiling_hash": policy.p0_ceiling_hash,
        "policy_hash": policy.policy_hash,
        "scope": policy.scope,
        "signature": signature.signature,
        "type": "POLICY_ACTIVATED",
    }
