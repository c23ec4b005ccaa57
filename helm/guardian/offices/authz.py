"""Authz: the caller stands in the relation that the tool asks for, by the tuples of this moment (ReBAC)."""

from __future__ import annotations

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.inquiry import Inquiry, Office


def check(inquiry: Inquiry) -> None:
    """Refuse whoever is not related, and what cannot be known: tuples that are old, or for another model."""
    if inquiry.rule.relation is None:
        return
    found = inquiry.world.authz
    if found is None:
        raise Refused(ReasonCode.PDP_ERROR, "nobody looked at the relationships of this call")
    if found.model_mismatch:
        raise Refused(ReasonCode.PDP_ERROR, "the relationships were written for another model than the policy's")
    if found.stale:
        raise Refused(ReasonCode.PDP_ERROR, "the relationships are stale: nobody has said for too long that they hold")
    if found.decision == "unrelated":
        what = f"{found.subject} does not stand in the relation {found.relation} to {found.object}"
        raise Refused(ReasonCode.INSUFFICIENT_PRIVILEGE, what)
    if found.decision != "related":
        raise Refused(ReasonCode.PDP_ERROR, "the relationships of this call cannot be walked to an end")


OFFICE = Office("authz", check, ReasonCode.PDP_ERROR)
