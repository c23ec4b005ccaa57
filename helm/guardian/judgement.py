"""What the guardian hands on: the sealed decision, the sealed boundary record, the facts, and a permit on ALLOW."""

from __future__ import annotations

from base64 import b64encode
from typing import NamedTuple

from helm.contracts.call import ToolCall
from helm.contracts.decision import ALLOW, ESCALATE, Decision
from helm.contracts.effect import Effect, Permit
from helm.contracts.form import JSONValue, Noun, Sealed
from helm.contracts.reason import ReasonCode
from helm.contracts.record import BoundaryRecord
from helm.crypto import domains
from helm.crypto.canonical import ordered_bytes, raw_value, record_bytes
from helm.crypto.hashing import content_id, hash_in
from helm.crypto.seals import seal_decision, seal_record
from helm.guardian.inquiry import Inquiry
from helm.guardian.offices.asking import joins, standing_of
from helm.guardian.policy import ToolRule
from helm.guardian.relations import snapshot_hash
from helm.guardian.velocity import Tick, counting_delegator, tick_of
from helm.guardian.world import World, WorldFacts, world_facts

PERMIT_TTL_MS = 10_000
"""How long an ALLOW may wait for its dispatch; the belt needs milliseconds, a hung disk may need more (T6)."""

INTERVENTION_EXPIRES_S = 3600
"""How long an intervention waits where the policy names no approval rule of its own."""


DIRECT_DISPATCH = ReasonCode.PROVENANCE_FAILURE.value
"""The fault of a call that came past the boundary."""


class Finding(Noun, frozen=True):
    """How far the roster came, and the answer."""

    verdict: str
    code: str
    reason: str
    passed: int


class Judgement(Noun, frozen=True, kw_only=True):
    """One evaluation, sealed. `facts` are the canonical bytes of all that the offices could look at."""

    decision: Sealed[Decision]
    record: Sealed[BoundaryRecord]
    effect: Effect | None
    facts: bytes
    rule: ToolRule | None
    permit: Permit | None


def judge(inquiry: Inquiry, finding: Finding, roster_hash: str) -> Judgement:
    """Seal the finding about `inquiry` into decision, record and, on ALLOW, a permit."""
    facts = facts_bytes(inquiry.call, inquiry.world)
    decision = _decide(inquiry, finding, roster_hash, hash_in(domains.FACTS, facts))
    return Judgement(
        decision=decision,
        record=_record(inquiry, decision),
        effect=inquiry.effect,
        facts=facts,
        rule=inquiry.rule,
        permit=_permit(inquiry, decision) if finding.verdict == ALLOW else None,
    )


class CallFacts(Noun, frozen=True):
    """The call as facts tell it. Malformed arguments stand there as base64 of their raw bytes."""

    approval_id: str
    args_hash: str
    arguments: JSONValue
    claimed_principal: str
    credential_hash: str
    delegation_id: str
    delegation_proof: str
    delegation_sequence: int
    door: str
    fault: str
    fault_reason: str
    idempotency_key: str
    labels: tuple[str, ...]
    malformed: str
    oauth_resource: str
    oauth_scopes: tuple[str, ...]
    principal: str
    session_id: str
    tenant: str
    texts: tuple[str, ...]
    tool: str
    transport: str
    trust: str


class Facts(Noun, frozen=True):
    """All that the offices could look at: with the policy, enough to evaluate again."""

    call: CallFacts
    world: WorldFacts


def facts_bytes(call: ToolCall, world: World) -> bytes:
    """Return the canonical bytes of the facts."""
    return ordered_bytes(Facts(call_facts(call), world_facts(world)))


def call_facts(call: ToolCall) -> CallFacts:
    """Return the call as facts tell it."""
    context, source = call.context, call.source
    return CallFacts(
        call.approval_id,  # approval_id
        call.args_hash,  # args_hash
        b64encode(call.arguments).decode() if call.malformed else raw_value(call.arguments),  # arguments
        context.claimed_principal,  # claimed_principal
        context.credential_hash,  # credential_hash
        call.delegation_id,  # delegation_id
        call.delegation_proof,  # delegation_proof
        call.delegation_sequence,  # delegation_sequence
        source.door,  # door
        context.fault,  # fault
        context.fault_reason,  # fault_reason
        call.idempotency_key,  # idempotency_key
        context.labels,  # labels
        call.malformed,  # malformed
        context.oauth_resource,  # oauth_resource
        context.oauth_scopes,  # oauth_scopes
        call.principal,  # principal
        call.session_id,  # session_id
        call.tenant,  # tenant
        context.texts,  # texts
        call.tool,  # tool
        source.transport,  # transport
        context.trust,  # trust
    )


GATE_WORDS = tuple(("PASS",) * passed for passed in range(64))
"""One tuple per length, made once: the longest roster is far below 64."""


def _decide(inquiry: Inquiry, finding: Finding, roster_hash: str, facts_hash: str) -> Sealed[Decision]:
    call, world, rule, policy = inquiry.call, inquiry.world, inquiry.rule, inquiry.world.policy
    verdict, source = finding.verdict, call.source
    passes, allowed = GATE_WORDS[finding.passed], verdict == ALLOW
    ask = _asked_for(inquiry) if verdict == ESCALATE else NO_ASK
    content = Decision(
        ask.approvers,  # approval_approvers
        ask.expires_at_ms,  # approval_expires_at_ms
        ask.approval_id or (inquiry.relies_on if allowed else call.approval_id),  # approval_id
        ask.quorum,  # approval_quorum
        ask.role,  # approval_role
        ask.timelock_until_ms,  # approval_timelock_until_ms
        call.args_hash,  # args_hash
        "" if world.authz is None else snapshot_hash(world.authz),  # authz_snapshot_hash
        inquiry.reservation,  # budget_reservation
        world.call_seq,  # call_seq
        world.now_ms,  # decided_at_ms
        call.delegation_id,  # delegation_id
        inquiry.delegation_sequence,  # delegation_sequence
        source.door,  # door
        inquiry.effect_id,  # effect_id
        rule.effect_type,  # effect_type
        facts_hash,  # facts_hash
        passes if allowed else (*passes, verdict),  # gate_results
        roster_hash,  # gate_roster_hash
        call.idempotency_key,  # idempotency_key
        rule.input_schema_hash,  # input_schema_hash
        inquiry.intent_hash,  # intent_hash
        world.kernel_epoch,  # kernel_epoch
        call.context.labels,  # labels
        world.log_id,  # log_id
        rule.output_schema_hash,  # output_schema_hash
        policy.p0_ceiling_hash,  # p0_ceiling_hash
        inquiry.pdp_policy_hash,  # pdp_policy_hash
        policy.epoch,  # policy_epoch
        policy.policy_hash,  # policy_hash
        call.principal,  # principal
        finding.reason,  # reason
        finding.code,  # reason_code
        rule.requirement_set_hash,  # requirement_set_hash
        rule.risk_tier,  # risk_tier
        rule.sandbox_grant_hash,  # sandbox_grant_hash
        call.session_id,  # session_id
        call.tenant,  # tenant
        call.tool,  # tool
        source.transport,  # transport
        _ticks(inquiry) if rule.velocity else NO_TICKS,  # velocity
        verdict,  # verdict
    )
    return seal_decision(content)


NO_TICKS: tuple[Tick, ...] = ()


def _ticks(inquiry: Inquiry) -> tuple[Tick, ...]:
    """Return where the call counts: in every account that has a place, whatever becomes of the call.

    For its delegator it counts once gate 5 has let it through: before, anybody may have named the delegation.
    """
    rules, paces = inquiry.rule.velocity, inquiry.world.velocity
    counted = [*zip(rules, paces, strict=False)]  # too few: the temporal office has refused it
    if inquiry.delegation_sequence:
        counted += zip(counting_delegator(rules), paces[len(rules) :], strict=False)
    return tuple([tick_of(rule, pace) for rule, pace in counted if pace.account])


class Ask(NamedTuple):
    """Which approval an ESCALATE waits for; `quorum` is 0 where it waits with others and opens no ceremony."""

    approval_id: str
    expires_at_ms: int = 0
    quorum: int = 0
    timelock_until_ms: int = 0
    approvers: tuple[str, ...] = ()
    role: str = ""


NO_ASK = Ask("")


def _asked_for(inquiry: Inquiry) -> Ask:
    """Return the approval that an ESCALATE waits for: the same intent waits for the same one."""
    standing = standing_of(inquiry)
    if standing is not None and joins(standing, inquiry):
        return Ask(standing.approval_id, standing.expires_at_ms)
    world, rule = inquiry.world, inquiry.rule.approval
    approval_id = content_id("apr_", hash_in(domains.APPROVAL_NAME, record_bytes(_opening(inquiry))))
    if rule is None:
        approvers = impartial(world.policy.approvers, inquiry)
        return Ask(approval_id, world.now_ms + INTERVENTION_EXPIRES_S * 1000, 1, 0, approvers)
    timelock_until_ms = world.now_ms + rule.timelock_s * 1000 if rule.timelock_s else 0
    return Ask(
        approval_id,
        world.now_ms + rule.expires_s * 1000,
        rule.quorum,
        timelock_until_ms,
        impartial(rule.approvers, inquiry),
        rule.role,
    )


def impartial(approvers: tuple[str, ...], inquiry: Inquiry) -> tuple[str, ...]:
    """Return the approvers but for those in whose name the call is made: nobody approves their own wish (T7)."""
    delegation = inquiry.world.delegation
    callers = {inquiry.call.principal} if delegation is None else {inquiry.call.principal, delegation.grant.delegator}
    aliases = inquiry.world.policy.aliases
    asking = {aliases.get(caller, caller) for caller in callers}
    return tuple(one for one in approvers if one.partition(" ")[0] not in asking) or (approvers and NOBODY)


NOBODY = ("nobody -",)
"""For a call that only its own asker could approve: no key has this name."""


def _opening(inquiry: Inquiry) -> dict[str, JSONValue]:
    """Return what names a ceremony: the intent, and the one decision that opens it."""
    world = inquiry.world
    return {
        "call_seq": world.call_seq,
        "intent_hash": inquiry.intent_hash,
        "kernel_epoch": world.kernel_epoch,
        "log_id": world.log_id,
    }


def _record(inquiry: Inquiry, decision: Sealed[Decision]) -> Sealed[BoundaryRecord]:
    decided, rule, context = decision.content, inquiry.rule, inquiry.call.context
    return seal_record(
        BoundaryRecord(
            (decided.approval_id,) if decided.approval_id else (),  # approval_ids
            decided.args_hash,  # args_hash
            inquiry.call.malformed != "",  # args_malformed
            decided.authz_snapshot_hash,  # authz_snapshot_hash
            decided.decided_at_ms,  # created_at_ms
            rule.credential,  # credential_ref
            decision.id,  # decision_id
            inquiry.destination,  # destination
            context.fault == DIRECT_DISPATCH,  # direct_dispatch_seen
            decided.input_schema_hash,  # input_schema_hash
            decided.log_id,  # log_id
            rule.connector if rule.pin else "",  # mcp_server_id
            context.oauth_resource,  # oauth_resource
            context.oauth_scopes,  # oauth_scopes
            decided.input_schema_hash,  # pinned_schema_hash
            decided.policy_epoch,  # policy_epoch
            decided.policy_hash,  # policy_hash
            decided.principal,  # principal
            decided.reason,  # reason
            decided.reason_code,  # reason_code
            decided.sandbox_grant_hash,  # sandbox_grant_hash
            decided.session_id,  # session_id
            decided.tenant,  # tenant
            decided.effect_type,  # tool_effect
            decided.tool,  # tool_name
            decided.verdict,  # verdict
        )
    )


def _permit(inquiry: Inquiry, decision: Sealed[Decision]) -> Permit:
    decided, rule = decision.content, inquiry.rule
    return Permit(
        decision_id=decision.id,
        decision_hash=decision.hash,
        verdict=decided.verdict,
        tool=decided.tool,
        connector=rule.connector,
        args_hash=decided.args_hash,
        effect_id=decided.effect_id,
        intent_hash=decided.intent_hash,
        policy_hash=decided.policy_hash,
        policy_epoch=decided.policy_epoch,
        expires_at_ms=decided.decided_at_ms + PERMIT_TTL_MS,
    )


def intent_payload(judgement: Judgement) -> bytes:
    """Return the payload of an ALLOWed call's INTENT node: the decision, the record and the effect to come."""
    if judgement.effect is None:
        raise ValueError("an intent without an effect")
    effect = ordered_bytes(judgement.effect)
    parts = (
        b'{"decision":',
        judgement.decision.json,
        b',"effect":',
        effect,
        b',"record":',
        judgement.record.json,
        b',"type":"INTENT"}',
    )
    return b"".join(parts)


def refusal_payload(judgement: Judgement, receipt_hash: str) -> bytes:
    """Return the payload of a refused call's ATTESTATION node: the decision, the record and the receipt's hash."""
    parts = (
        b'{"decision":',
        judgement.decision.json,
        b',"receipt_hash":"%b","record":' % receipt_hash.encode(),
        judgement.record.json,
        b',"type":"REFUSAL"}',
    )
    return b"".join(parts)
