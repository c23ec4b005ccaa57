"""Effect construction: what the call would do, named by its hash; an undeclared tool has none (T1, default deny)."""

from __future__ import annotations

from helm.contracts.effect import Effect, Intent
from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.crypto import domains
from helm.crypto.canonical import ordered_bytes
from helm.crypto.hashing import content_id, hash_in
from helm.guardian.inquiry import Inquiry, Office
from helm.guardian.policy import NO_POLICY, UNDECLARED


def check(inquiry: Inquiry) -> None:
    """Refuse without an active, current policy or for a tool it does not declare; else name effect and intent."""
    call, world, rule = inquiry.call, inquiry.world, inquiry.rule
    policy = world.policy
    if policy is NO_POLICY:
        raise Refused(ReasonCode.NO_POLICY_DEFINED, "no policy is active")
    if world.now_ms < policy.not_before_ms:
        raise Refused(ReasonCode.POLICY_NOT_READY, "the policy is not in force yet")
    if policy.max_age_s and world.now_ms >= policy.not_before_ms + policy.max_age_s * 1000:
        raise Refused(ReasonCode.PDP_ERROR, "the policy is stale: activate a newer epoch")
    if rule is UNDECLARED:
        raise Refused(ReasonCode.NO_POLICY_DEFINED, f"the policy declares no tool {call.tool!r}")
    inquiry.effect = effect = Effect(
        args_hash=call.args_hash,
        connector=rule.connector,
        destination=inquiry.destination,
        effect_type=rule.effect_type,
        idempotency_key=call.idempotency_key,
        irreversible=rule.irreversible,
        risk_tier=rule.risk_tier,
        tool=call.tool,
    )
    inquiry.effect_id = content_id("eff_", hash_in(domains.EFFECT, ordered_bytes(effect)))
    inquiry.intent_hash = hash_in(domains.INTENT, ordered_bytes(_intent(inquiry)))


def _intent(inquiry: Inquiry) -> Intent:
    call = inquiry.call
    return Intent(
        args_hash=call.args_hash,
        delegation_id=call.delegation_id,
        effect_id=inquiry.effect_id,
        principal=call.principal,
        session_id=call.session_id,
        tenant=call.tenant,
        tool=call.tool,
    )


OFFICE = Office("effect", check, ReasonCode.NO_POLICY_DEFINED)
