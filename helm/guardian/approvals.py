"""Approvals: every ceremony by its id, folded from decisions, signed assertions and deadlines that passed."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable
from typing import Final

import attrs

from helm.contracts.approval import Action, Assertion, Challenge
from helm.contracts.call import ToolCall
from helm.contracts.decision import Decision
from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.guardian.ceremony import (
    APPROVED,
    CONSUMED,
    ENDING,
    EXPIRED,
    OPEN,
    CallKey,
    Ceremony,
    asserted,
    challenged,
    illegal,
    purpose_of,
)
from helm.guardian.world import Sought
from helm.trust.registry import Registry

HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS

Asker = tuple[str, str, str]
"""Who asked for what: tenant, principal, tool."""


@attrs.define
class Approvals:
    """Every ceremony. Its id names the one decision that opened it, so that events of two never meet."""

    ceremonies: dict[str, Ceremony] = attrs.field(factory=dict, repr=False)
    by_call: dict[CallKey, str] = attrs.field(factory=dict, repr=False)
    """The latest ceremony that such a call opened."""
    nodes: dict[str, str] = attrs.field(factory=dict, repr=False)
    """The node of the latest assertion about each approval: the intent that relies on it stands on it."""
    put: dict[tuple[str, str], tuple[Challenge, str]] = attrs.field(factory=dict, repr=False)
    """The latest challenge put to each key about each approval, with the kernel's signature."""
    _asked_at_ms: dict[Asker, list[int]] = attrs.field(factory=dict, repr=False)

    def standing(self, call: ToolCall) -> Sought | None:
        """Return how the approval stands that the call names, or else the latest that such a call asked for."""
        if not self.by_call:
            return None
        key = key_of(call)
        named = self.ceremonies.get(call.approval_id) if call.approval_id else None
        latest = self.ceremonies.get(self.by_call.get(key, ""))
        ceremony = named if named is not None and named.call_key == key else latest
        if ceremony is None:
            return None
        return Sought(
            ceremony.approval_id,
            ceremony.expires_at_ms,
            ceremony.intent_hash,
            ceremony.p0_ceiling_hash,
            ceremony.policy_hash,
            ceremony.state,
            ceremony.unlocked,
        )

    def asked(self, asker: Asker, now_ms: int) -> tuple[int, int]:
        """Return how many ceremonies were opened in the hour and in the day before `now_ms`."""
        times = self._asked_at_ms.get(asker)
        if times is None:
            return 0, 0
        count = len(times)
        return count - bisect_right(times, now_ms - HOUR_MS), count - bisect_right(times, now_ms - DAY_MS)

    def park(self, decision: Decision) -> None:
        """Open the ceremony that an ESCALATE asks for; one that joins another opens none."""
        if decision.approval_quorum and decision.approval_id not in self.ceremonies:
            ceremony = opened_by(decision)
            self.ceremonies[ceremony.approval_id] = ceremony
            self.by_call[ceremony.call_key] = ceremony.approval_id
            self._count((decision.tenant, decision.principal, decision.tool), decision.decided_at_ms)

    def _count(self, asker: Asker, at_ms: int) -> None:
        times = self._asked_at_ms.setdefault(asker, [])
        insort(times, at_ms)
        del times[: bisect_right(times, at_ms - 2 * DAY_MS)]

    def note_written(self, approval_id: str, record_id: str) -> None:
        """Note that the refusal which opened the ceremony is durable: from now on it can be answered."""
        ceremony = self.ceremonies.get(approval_id)
        if ceremony is not None and not ceremony.record_id:
            self.ceremonies[approval_id] = attrs.evolve(ceremony, record_id=record_id)

    def find(self, approval_id: str) -> Ceremony:
        """Return the ceremony of that id, once it is in the log. Raises Invalid."""
        ceremony = self.ceremonies.get(approval_id)
        if ceremony is None or not ceremony.record_id:
            raise Invalid("there is no such approval", f"approval {approval_id}", "`helm approvals list` names them")
        return ceremony

    def put_challenge(self, challenge: Challenge, signature: str, registry: Registry, lamport: int) -> None:
        """Take a challenge that the kernel put to a key that counts at `lamport`. Raises Invalid."""
        ceremony = self.find(challenge.approval_id)
        check_log(ceremony, challenge.log_id, registry)
        kernel_key = registry.require(challenge.signed_by, KeyPurpose.EXECUTION, lamport)
        registry.require(challenge.key_id, purpose_of(challenge.action), lamport, role_for(challenge.action, ceremony))
        self._put(challenged(ceremony, challenge, signature, kernel_key))
        self.put[ceremony.approval_id, challenge.key_id] = (challenge, signature)

    def put_assertion(
        self, assertion: Assertion, signature: str, registry: Registry, lamport: int, at_ms: int
    ) -> Ceremony:
        """Take what a key that counts at `lamport` signed, and return what became of it. Raises Invalid."""
        ceremony = self.find(assertion.approval_id)
        check_log(ceremony, assertion.log_id, registry)
        role = role_for(assertion.action, ceremony)
        key = registry.require(assertion.key_id, purpose_of(assertion.action), lamport, role)
        if assertion.action == Action.OVERRIDE:
            self._check_reviewed(ceremony)
        after = asserted(ceremony, assertion, signature, key, at_ms)
        self._put(after)
        return after

    def stand(self, approval_id: str, node_hash: str) -> None:
        """Remember the node of the latest assertion about an approval: what relies on the approval stands on it."""
        self.nodes[approval_id] = node_hash

    def _check_reviewed(self, ceremony: Ceremony) -> None:
        """Raise Invalid while an earlier override of the tenant waits for its review: no second one before (T7)."""
        for other in self.ceremonies.values():
            if other.review == OPEN and other.tenant == ceremony.tenant:
                what = f"the override of {other.approval_id} has not been reviewed"
                raise illegal(ceremony, what, "an approver reviews it first: `helm approvals review`")

    def _put(self, ceremony: Ceremony) -> None:
        self.ceremonies[ceremony.approval_id] = ceremony

    def unlock(self, approval_id: str, at_ms: int) -> None:
        """Note that the timelock of a ceremony has elapsed."""
        ceremony = self.ceremonies.get(approval_id)
        if ceremony is not None and not ceremony.unlocked:
            self._put(attrs.evolve(ceremony, unlocked_at_ms=at_ms))

    def expire(self, approval_id: str) -> None:
        """End a ceremony whose time is over."""
        ceremony = self.ceremonies.get(approval_id)
        if ceremony is not None and ceremony.state in ENDING:
            self._put(attrs.evolve(ceremony, state=EXPIRED))

    def is_due(self, approval_id: str, now_ms: int) -> bool:
        """Say whether the ceremony still runs although its deadline has passed."""
        ceremony = self.ceremonies.get(approval_id)
        return ceremony is not None and ceremony.state in ENDING and ceremony.expires_at_ms <= now_ms

    def is_locked_at(self, approval_id: str, now_ms: int) -> bool:
        """Say whether the ceremony is locked although its timelock has elapsed."""
        ceremony = self.ceremonies.get(approval_id)
        return ceremony is not None and not ceremony.unlocked and ceremony.timelock_until_ms <= now_ms

    def running(self) -> Iterable[Ceremony]:
        """Yield every ceremony that a deadline can still end."""
        return [ceremony for ceremony in self.ceremonies.values() if ceremony.state in ENDING]

    def consume(self, decision: Decision) -> None:
        """Use up the approval that an ALLOWed call relied on. Raises Invalid where it is not one for this call, now."""
        ceremony = self.find(decision.approval_id)
        own = (ceremony.intent_hash, ceremony.policy_hash, ceremony.p0_ceiling_hash)
        if own != (decision.intent_hash, decision.policy_hash, decision.p0_ceiling_hash):
            raise illegal(ceremony, "a call relied on it that is not what was approved", "the decision is not ours")
        if ceremony.state != APPROVED or decision.decided_at_ms >= ceremony.expires_at_ms:
            raise illegal(ceremony, f"a call relied on it while it was {ceremony.state}", "it was not approved")
        self._put(attrs.evolve(ceremony, state=CONSUMED))

    def give_back(self, approval_id: str) -> None:
        """Return an approval to its caller: nothing was dispatched."""
        ceremony = self.ceremonies[approval_id]
        if ceremony.state == CONSUMED:
            self._put(attrs.evolve(ceremony, state=APPROVED))


def key_of(call: ToolCall) -> CallKey:
    """Return what is the same when a call is made again."""
    whose = (call.tenant, call.session_id, call.principal)
    return (*whose, call.tool, call.args_hash, call.delegation_id, call.idempotency_key)


def opened_by(decision: Decision) -> Ceremony:
    """Return the ceremony that an ESCALATE opens."""
    return Ceremony(
        approval_id=decision.approval_id,
        approvers=decision.approval_approvers,
        args_hash=decision.args_hash,
        delegation_id=decision.delegation_id,
        effect_id=decision.effect_id,
        expires_at_ms=decision.approval_expires_at_ms,
        idempotency_key=decision.idempotency_key,
        intent_hash=decision.intent_hash,
        p0_ceiling_hash=decision.p0_ceiling_hash,
        policy_epoch=decision.policy_epoch,
        policy_hash=decision.policy_hash,
        principal=decision.principal,
        quorum=decision.approval_quorum,
        reason_code=decision.reason_code,
        requested_at_ms=decision.decided_at_ms,
        risk_tier=decision.risk_tier,
        role=decision.approval_role,
        session_id=decision.session_id,
        tenant=decision.tenant,
        timelock_until_ms=decision.approval_timelock_until_ms,
        tool=decision.tool,
    )


def role_for(action: str, ceremony: Ceremony) -> str:
    """Return the role in which this is said: an approver's; whoever overrides has the emergency key instead."""
    return "" if action == Action.OVERRIDE else ceremony.role


def check_log(ceremony: Ceremony, log_id: str, registry: Registry) -> None:
    """Raise Invalid for what was signed for another log."""
    if log_id != registry.log_id:
        raise illegal(ceremony, f"it was signed for log {log_id}", f"sign it for this log, {registry.log_id}")
