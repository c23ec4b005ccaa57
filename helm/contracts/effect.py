"""What a call would do to the world, and what an approver approves (contracts: Effect, Intent, Permit)."""

from __future__ import annotations

from helm.contracts.form import Form, Noun


class Effect(Noun, frozen=True, kw_only=True):
    """The change asked for; its hash names it."""

    args_hash: str
    connector: str
    destination: str
    effect_type: str
    idempotency_key: str
    irreversible: bool
    risk_tier: str
    tool: str


class Intent(Noun, frozen=True, kw_only=True):
    """Who wants which effect. No time, epoch or sequence, so that it is the same when it is resubmitted."""

    args_hash: str
    delegation_id: str
    effect_id: str
    principal: str
    session_id: str
    tenant: str
    tool: str


class Permit(Noun, frozen=True, kw_only=True):
    """An ALLOW made usable once: all that the last lock before the world compares (T1, T6)."""

    decision_id: str
    decision_hash: str
    verdict: str
    tool: str
    connector: str
    args_hash: str
    effect_id: str
    intent_hash: str
    policy_hash: str
    policy_epoch: int
    expires_at_ms: int


class OutboundPermit(Noun, frozen=True, kw_only=True):
    """What a tool server is shown of a Permit, signed: this very call of its operation came through HELM, once (T1)."""

    args_hash: str
    connector: str
    decision_id: str
    effect_id: str
    expires_at_ms: int
    intent_hash: str
    key_id: str
    log_id: str
    operation: str
    policy_epoch: int
    tool: str
    version: str


EFFECT = Form(Effect)
INTENT = Form(Intent)
