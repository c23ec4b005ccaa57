"""Gate 5: who acts for another does so under a delegation session, and cannot leave it out (seed: Delegation)."""

from __future__ import annotations

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.inquiry import Inquiry, Office


def check(inquiry: Inquiry) -> None:
    """Refuse a call that names a delegation session nobody bound, and a delegate that names none.

    Authority starts from deny-all: no session is bound in this world, so every named one is invalid.
    """
    if inquiry.call.delegation_id:
        raise Refused(ReasonCode.DELEGATION_INVALID, "no such delegation session is bound here")
    principal = inquiry.world.policy.principals.get(inquiry.call.principal)
    if principal is not None and principal.delegation_required:
        raise Refused(
            ReasonCode.DELEGATION_INVALID, "this principal acts only under a delegation session and names none"
        )


GATE = Office("delegation", check, ReasonCode.DELEGATION_INVALID)
