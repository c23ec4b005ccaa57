"""Asking a human: what a requirement comes to that only an approval answers (T7)."""

from __future__ import annotations

from helm.contracts.call import ASKING
from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.ceremony import APPROVED, CONSUMED, DENIED, DISPUTED, EXPIRED, PENDING, REVOKED
from helm.guardian.inquiry import Inquiry
from helm.guardian.world import Sought

UNSTATED_PER_HOUR = 20
"""Approvals of one tool that one principal may ask for in advance, or on account of its hour or pace, where the policy
sets no limit (T7)."""

UNANSWERED = frozenset({PENDING, DISPUTED, APPROVED})
"""States in which a call joins the ceremony and opens no other."""


def require(inquiry: Inquiry, code: ReasonCode, why: str) -> None:
    """Let the call pass that names its own approval, granted for this very world; else refuse or escalate it.

    One approval says that a human agrees to this intent: it answers whichever office asks, and it skips none.
    """
    if inquiry.relies_on:
        return
    standing, call = standing_of(inquiry), inquiry.call
    if standing is not None:
        named = call.approval_id == standing.approval_id
        if named and standing.state == APPROVED and not is_over(standing, inquiry):
            inquiry.relies_on = standing.approval_id
            return
        check_final(standing, inquiry, named=named)
        if joins(standing, inquiry):
            raise Refused(code, f"{why}; {said_of(standing)}")
    check_rate(inquiry, code)
    raise Refused(code, why)


def standing_of(inquiry: Inquiry) -> Sought | None:
    """Return the approval that such a call asked for, unless the world has changed since: that voids it."""
    standing, policy = inquiry.world.approval, inquiry.world.policy
    if standing is None:
        return None
    bound = (standing.intent_hash, standing.policy_hash, standing.p0_ceiling_hash)
    return standing if bound == (inquiry.intent_hash, policy.policy_hash, policy.p0_ceiling_hash) else None


def is_over(standing: Sought, inquiry: Inquiry) -> bool:
    return inquiry.world.now_ms >= standing.expires_at_ms


def joins(standing: Sought, inquiry: Inquiry) -> bool:
    """Tell whether the call waits for the same approval as the one before it."""
    return standing.state in UNANSWERED and not is_over(standing, inquiry)


def check_final(standing: Sought, inquiry: Inquiry, *, named: bool) -> None:
    """Refuse a call of which humans have said no, or that names an approval which is locked, over or used."""
    over, name = is_over(standing, inquiry), standing.approval_id
    if standing.state in (DENIED, REVOKED) and not over:
        raise Refused(ReasonCode.PDP_DENY, f"the approval {name} was {standing.state.lower()} by an approver")
    if not named:
        return
    if standing.state == EXPIRED or (over and standing.state in UNANSWERED):
        raise Refused(
            ReasonCode.APPROVAL_TIMEOUT, f"the approval {name} has expired: call again without it, to ask anew"
        )
    if standing.state == CONSUMED:
        raise Refused(ReasonCode.PDP_DENY, f"the approval {name} was used already: it is good for one call")
    if not standing.unlocked:
        raise Refused(ReasonCode.ERR_APPROVAL_TIMELOCK_ACTIVE, f"the timelock of the approval {name} has not elapsed")


def said_of(standing: Sought) -> str:
    """Say what the caller is to do."""
    if standing.state == APPROVED:
        return f"{standing.approval_id} is approved: name it in the call"
    return f"{standing.approval_id} waits for its approvers"


def check_rate(inquiry: Inquiry, code: ReasonCode) -> None:
    """Refuse to ask more often than the policy lets a human be asked: a tired approver agrees to anything (T7)."""
    rule = inquiry.rule.approval
    per_hour, per_day = (0, 0) if rule is None else (rule.max_per_hour, rule.max_per_day)
    if code is ReasonCode.TEMPORAL_INTERVENTION or inquiry.call.source.door == ASKING:
        per_hour = per_hour or UNSTATED_PER_HOUR
    limits = (per_hour, "hour"), (per_day, "day")
    for asked, (limit, span) in zip(inquiry.world.approvals_asked, limits, strict=True):
        if limit and asked >= limit:
            what = f"{asked} approvals of this tool were asked for within the {span}, {limit} may be"
            raise Refused(ReasonCode.ERR_APPROVAL_RATE_LIMIT_EXCEEDED, what)
