"""Gate 5: who acts for another does so under a delegation session, and cannot leave it out (seed: Delegation).

Authority starts from deny-all: a session that nobody bound is none. One that was bound grants what its delegator may
do now, not what it might do once. Whatever passes here goes through every later office in the delegate's own name.
"""

from __future__ import annotations

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.cel import CelError
from helm.guardian.cel_variables import cel_variables
from helm.guardian.delegation import SKEW_MS, DelegationGrant, condition
from helm.guardian.inquiry import Inquiry, Office
from helm.guardian.policy import PrincipalRule


def check(inquiry: Inquiry) -> None:
    """Refuse a call under a delegation session that is none, is another's, or does not go that far."""
    call = inquiry.call
    if not call.delegation_id:
        principal = inquiry.world.policy.principals.get(call.principal)
        if principal is not None and principal.delegation_required:
            raise invalid("this principal acts only under a delegation session and names none")
        return
    grant = _session(inquiry)
    _check_scope(inquiry, grant, _delegator(inquiry, grant))
    inquiry.delegation_sequence = call.delegation_sequence


def _session(inquiry: Inquiry) -> DelegationGrant:
    """Return what the session grants. Raises Refused unless it is this principal's, in force, and the call is new."""
    call, now_ms, standing = inquiry.call, inquiry.world.now_ms, inquiry.world.delegation
    if standing is None:
        raise invalid("no such delegation session is bound here")
    grant = standing.grant
    if grant.delegate != call.principal:
        what = "the delegation session is another principal's"
        raise Refused(ReasonCode.DELEGATION_PRINCIPAL_MISMATCH, what)
    if grant.challenge != call.delegation_proof:  # a hash: how long the comparing takes tells nothing of the verifier
        raise invalid("the verifier is not the one that the session is bound to")
    if standing.ended:
        raise invalid(f"the delegation session has ended: {standing.ended}")
    if not grant.issued_at_ms - SKEW_MS <= now_ms < grant.expires_at_ms:
        raise invalid("the delegation session is not in force now")
    if standing.used:
        raise invalid("a call with this sequence was made before: no call is made twice")
    return grant


def _delegator(inquiry: Inquiry, grant: DelegationGrant) -> PrincipalRule:
    delegator = inquiry.world.policy.principals.get(grant.delegator)
    if delegator is None or grant.key_id not in delegator.delegation_keys:
        raise invalid("the policy does not know the key as its delegator's")
    return delegator


def _check_scope(inquiry: Inquiry, grant: DelegationGrant, delegator: PrincipalRule) -> None:
    """Refuse what the session does not name, and what its delegator may not do itself (privilege escalation)."""
    rule, source = inquiry.rule, grant.capabilities.get(inquiry.call.tool)
    if source is None:
        raise outside("the delegation session does not name this tool")
    if not rule.admits(grant.delegator):
        raise outside("the policy does not let the delegator use this tool")
    if delegator.data_classes is not None and not rule.data_classes <= delegator.data_classes:
        raise outside("the delegator is not cleared for the data of this tool")
    if rule.credential and rule.credential not in delegator.credentials:
        raise outside("the delegator does not hold the credential of this tool")
    if source:
        try:
            when = condition(source)
            holds = when.holds(cel_variables(inquiry, when.needs))
        except CelError as problem:
            raise outside(f"the condition of the delegation session cannot be evaluated: {problem}") from problem
        if not holds:
            raise outside("the condition of the delegation session does not hold")


def invalid(what: str) -> Refused:
    """Return the refusal of a session that does not count."""
    return Refused(ReasonCode.DELEGATION_INVALID, what)


def outside(what: str) -> Refused:
    """Return the refusal of what a session does not cover."""
    return Refused(ReasonCode.DELEGATION_SCOPE_VIOLATION, what)


GATE = Office("delegation", check, ReasonCode.DELEGATION_INVALID)
