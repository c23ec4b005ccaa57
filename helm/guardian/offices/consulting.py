"""Consulting a decision point: what the policy's own point says of a call that everything before it lets pass.

A remote point was asked before; here its answer is a fact, and it counts for this very call alone: the request that
it answered is made again, of what is judged now, and must hash the same.
"""

from __future__ import annotations

from helm.contracts.dialect import shown
from helm.contracts.errors import Refused
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.crypto import domains
from helm.crypto.canonical import canonical
from helm.crypto.hashing import hash_in
from helm.guardian.cedar import CedarError
from helm.guardian.destination import normalise
from helm.guardian.inquiry import Inquiry
from helm.guardian.points import Advice, CedarPoint, OpaPoint, PointRule, Question

VERSION = "helm.pdp/1"

MAX_DEPTH = 72
"""Arguments of depth 64, and a little around them (T4)."""


def consult(inquiry: Inquiry, rule: PointRule) -> None:
    """Refuse what the decision point does not allow: with PDP_DENY if it said so, PDP_ERROR if it did not say."""
    inquiry.pdp_policy_hash = rule.point.content_hash
    call, arguments = call_of(inquiry), rule.shown(inquiry.call.parsed)
    match rule.point:
        case CedarPoint() as cedar:
            _evaluate(cedar, call, arguments)
        case OpaPoint() as opa:
            request = canonical({"arguments": arguments, **call}, max_depth=MAX_DEPTH)
            _believe(inquiry, Question(point=opa, request=request, request_hash=hash_of(request)))
        case other:
            raise _error(f"nobody can consult a {type(other).__name__}")


def hash_of(request: bytes) -> str:
    """Return the hash by which an answer is bound to the request it was given to."""
    return hash_in(domains.DECISION_POINT_REQUEST, request)


def call_of(inquiry: Inquiry) -> dict[str, JSONValue]:
    """Return what a decision point is told of every call: who, what, under which policy. No time, no argument."""
    call, world, rule = inquiry.call, inquiry.world, inquiry.rule
    return {
        "args_hash": call.args_hash,
        "delegation_id": call.delegation_id,
        "delegator": "" if world.delegation is None else world.delegation.grant.delegator,
        "destination": inquiry.destination,
        "effect_type": rule.effect_type,
        "irreversible": rule.irreversible,
        "labels": sorted({*call.context.labels, *world.session_labels}),
        "log_id": world.log_id,
        "policy_epoch": world.policy.epoch,
        "policy_hash": world.policy.policy_hash,
        "principal": call.principal,
        "risk_tier": rule.stated_tier,  # a point that permits by it must not be widened by an overlay that raises it
        "session_id": call.session_id,
        "spend_cents": rule.spend_cents,
        "tenant": call.tenant,
        "tool": call.tool,
        "trust": call.context.trust.value,
        "version": VERSION,
    }


def _evaluate(point: CedarPoint, call: dict[str, JSONValue], arguments: dict[str, JSONValue]) -> None:
    try:
        permitted, policies = point.program.permits(call, arguments)
    except CedarError as problem:
        raise _error(f"the decision point {point.name}: {problem}") from problem
    if not permitted:
        why = f"forbidden by {policies}" if policies else "no policy permits it"
        raise Refused(ReasonCode.PDP_DENY, f"the decision point {point.name}: {why}")


def _believe(inquiry: Inquiry, question: Question) -> None:
    """Let the call pass if the remote point allowed exactly this, by the pinned policy, a moment ago."""
    point, advice, name = question.point, inquiry.world.pdp, f"the decision point {question.point.name}"
    if advice is None:
        _check_ceilings(inquiry, point)
        inquiry.question = question
        raise _error(f"{name} was not asked")
    if advice.point != point.name or advice.request_hash != question.request_hash:
        raise _error(f"{name} was asked about another call, or under another policy: call again")
    if advice.error:
        raise _error(f"{name}: {advice.error}")
    _check_age(inquiry.world.now_ms, advice, point)
    if advice.bundles != point.bundles:
        told = ", ".join(f"{shown(bundle)} {shown(revision)}" for bundle, revision in advice.bundles) or "none"
        raise _error(f"{name} answers by other bundles than the policy pins: {told}")
    if advice.result == "false":
        raise Refused(ReasonCode.PDP_DENY, f"{name} does not allow it")
    if advice.result != "true":
        raise _error(f"{name} gives no truth value: {advice.result}")


def _check_ceilings(inquiry: Inquiry, point: OpaPoint) -> None:
    """Refuse to tell anything where a ceiling of this moment forbids to go."""
    origin = normalise(point.origin)
    if any(pattern.touches(origin) for pattern in inquiry.world.policy.p0.denied_destinations):
        raise _error(f"a P0 ceiling forbids the destination of the decision point {point.name}")


def _check_age(now_ms: int, advice: Advice, point: OpaPoint) -> None:
    """Refuse an answer of another moment: a clock that was set back makes none younger (T6)."""
    if not 0 <= now_ms - advice.asked_at_ms <= point.max_age_ms:
        raise _error(
            f"the answer of the decision point {point.name} is older than {point.max_age_ms} ms, or not yet due"
        )


def _error(reason: str) -> Refused:
    return Refused(ReasonCode.PDP_ERROR, reason)
