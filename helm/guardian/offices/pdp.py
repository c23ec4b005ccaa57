"""PDP: the policy's own decision: ceilings, who may, what a decision point says, then which human must agree."""

from __future__ import annotations

from helm.contracts.call import ASKING
from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode, why_halted
from helm.guardian.cel import CelError
from helm.guardian.cel_variables import cel_variables
from helm.guardian.inquiry import Inquiry, Office
from helm.guardian.oauth import lacking
from helm.guardian.offices.asking import require
from helm.guardian.offices.consulting import consult
from helm.guardian.policy import ApprovalRule


def check(inquiry: Inquiry) -> None:
    """Refuse what ceilings forbid, whom the tool does not name, what its point does not allow; escalate the rest."""
    rule, call = inquiry.rule, inquiry.call
    check_may(inquiry)
    if rule.point is not None:
        consult(inquiry, rule.point)
    if rule.approval is not None and _asks(rule.approval, inquiry):
        require(inquiry, ReasonCode.APPROVAL_REQUIRED, "the policy asks for an approval of this call")
    elif call.source.door == ASKING:  # it is no call yet: whatever the policy lets pass still waits for a human
        require(inquiry, ReasonCode.APPROVAL_REQUIRED, "its caller asks for an approval in advance")


def check_may(inquiry: Inquiry) -> None:
    """Refuse what ceilings forbid, whom the tool does not name, and what a halted connector would serve."""
    rule, policy, call = inquiry.rule, inquiry.world.policy, inquiry.call
    ceiling = policy.p0.forbids(rule)
    if ceiling:
        raise Refused(ReasonCode.PDP_DENY, f"a P0 ceiling forbids it: {ceiling}")
    overgrant = policy.p0.overgrant(rule)
    if overgrant:
        raise Refused(ReasonCode.SANDBOX_VIOLATION, f"the sandbox grant is an overgrant: {overgrant}")
    if not rule.admits(call.principal):
        raise Refused(ReasonCode.INSUFFICIENT_PRIVILEGE, "the policy does not let this principal use the tool")
    if rule.scopes or call.context.oauth_resource:
        _check_scopes(inquiry)
    halted = inquiry.world.connector_halted
    if halted:
        raise Refused(why_halted(halted), f"the connector is halted: {halted}")


def _check_scopes(inquiry: Inquiry) -> None:
    missing = lacking(inquiry.world.policy.oauth, inquiry.rule.scopes, inquiry.call.context)
    if missing:
        raise Refused(ReasonCode.INSUFFICIENT_PRIVILEGE, f"the access token does not carry {', '.join(missing)}")


def _asks(approval: ApprovalRule, inquiry: Inquiry) -> bool:
    if approval.required:
        return True
    if approval.when is None:
        return False
    try:
        return approval.when.holds(cel_variables(inquiry, approval.when.needs))
    except CelError as problem:
        raise Refused(ReasonCode.PDP_ERROR, f"the approval rule cannot be evaluated: {problem}") from problem


OFFICE = Office("pdp", check, ReasonCode.PDP_ERROR)
