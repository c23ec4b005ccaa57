"""Moving approval ceremonies on: challenges, signed assertions, and hours that passed."""

from __future__ import annotations

import attrs

from actors.commands.command import Command, attest
from actors.mailbox import Control
from helm.contracts.approval import ASSERTION, CHALLENGE, Action, Assertion, Challenge
from helm.contracts.errors import Invalid
from helm.guardian.ceremony import Ceremony
from helm.guardian.intake import Caller
from helm.guardian.memory import Memory
from helm.proofgraph.checkpoint import Cause
from helm.trust.registry import Registry


class Stale(Invalid):
    """The ceremony has moved on since whoever asks last saw it: a lost race, and nothing was changed."""


@attrs.define(eq=False)
class PutChallenge(Command):
    """Put a challenge, signed by the kernel's key, to one approver's key."""

    challenge: Challenge
    signature: str
    registry: Registry | None

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Check it as every later start will, and wait for the answer."""
        registry = required(self.registry)
        memory.approvals.put_challenge(self.challenge, self.signature, registry, registry.lamport + 1)
        ceremony = memory.approvals.find(self.challenge.approval_id)
        body = CHALLENGE.body(self.challenge)
        said = {"challenge": body, "signature": self.signature, "type": "APPROVAL_CHALLENGED"}
        return attest(said, caller=caller_of(ceremony))


@attrs.define(eq=False)
class Assert(Command):
    """Take what an approver signed, if the ceremony still stands as the approver saw it."""

    assertion: Assertion
    signature: str
    ceremony_hash: str
    registry: Registry | None

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Compare, check as every later start will, and set. The kernel's clock counts, no other."""
        registry = required(self.registry)
        before = memory.approvals.find(self.assertion.approval_id)
        if before.ceremony_hash != self.ceremony_hash:
            what = f"the ceremony is {before.state} now and not as it was read: {before.ceremony_hash}"
            raise Stale(what, f"approval {before.approval_id}", "read it again, and post the signature with its hash")
        memory.approvals.put_assertion(self.assertion, self.signature, registry, registry.lamport + 1, now_ms)
        body = ASSERTION.body(self.assertion)
        said = {"asserted_at_ms": now_ms, "assertion": body, "signature": self.signature, "type": "APPROVAL_ASSERTED"}
        control = attest(said, caller=caller_of(before))
        control.placed = lambda node: memory.approvals.stand(before.approval_id, node.node_hash)
        if self.assertion.action == Action.OVERRIDE:
            control.forces = Cause.OVERRIDE  # in the same durable step: nothing can rely on it before (T7)
        return control

    def told(self) -> tuple[str, ...]:
        """Whose waiters look again."""
        return (self.assertion.approval_id,)


@attrs.define(eq=False)
class UnlockApprovals(Command):
    """Open these ceremonies to their approvers, as far as their timelocks have elapsed."""

    approval_ids: list[str]

    def change(self, memory: Memory, now_ms: int) -> Control | None:
        """Unlock what may be unlocked on the kernel's clock; nothing changes nothing."""
        due = [name for name in self.approval_ids if memory.approvals.is_locked_at(name, now_ms)]
        if not due:
            return None
        for approval_id in due:
            memory.approvals.unlock(approval_id, now_ms)
        return attest({"approval_ids": due, "type": "APPROVALS_UNLOCKED", "unlocked_at_ms": now_ms})


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

    def told(self) -> tuple[str, ...]:
        """Whose waiters look again."""
        return tuple(self.approval_ids)


def required(registry: Registry | None) -> Registry:
    """Return the registry. Raises Invalid before there is one."""
    if registry is None:
        raise Invalid("no key is known yet", "approval", "the log has no genesis")
    return registry


def caller_of(ceremony: Ceremony) -> Caller:
    """Return whose session the ceremony belongs to: its events stand there, among what the call did."""
    return Caller(tenant=ceremony.tenant, principal=ceremony.principal, session_id=ceremony.session_id)
