"""Gate 2: one credential is one principal, one session is one principal, and a closed session stays closed (T9.4)."""

from __future__ import annotations

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.inquiry import Inquiry, Office


def check(inquiry: Inquiry) -> None:
    """Refuse a borrowed credential, a borrowed or closed session, and a tool credential the principal does not hold.

    A caller that names no principal is whom its credential says; the tool credential is a question for declared tools.
    """
    call, world = inquiry.call, inquiry.world
    if call.context.claimed_principal not in ("", call.principal):
        _refuse("the credential belongs to another principal")
    if world.session_owner and world.session_owner != call.principal:
        _refuse("the session belongs to another principal")
    if world.session_closed:
        _refuse("the session is closed and never reopens")
    if inquiry.rule.credential:
        _check_tool_credential(inquiry, inquiry.rule.credential)


def _check_tool_credential(inquiry: Inquiry, credential_ref: str) -> None:
    rule = inquiry.world.policy.principals.get(inquiry.call.principal)
    if rule is None or credential_ref not in rule.credentials:
        _refuse(f"the tool needs the credential {credential_ref!r}, which this principal does not hold")


def _refuse(reason: str) -> None:
    raise Refused(ReasonCode.IDENTITY_ISOLATION_VIOLATION, reason)


GATE = Office("identity", check, ReasonCode.IDENTITY_ISOLATION_VIOLATION)
