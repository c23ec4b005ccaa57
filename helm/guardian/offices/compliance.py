"""Compliance pre-check: data classes, jurisdiction and retention of the tool against the bundle's rules."""

from __future__ import annotations

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.inquiry import Inquiry, Office


def check(inquiry: Inquiry) -> None:
    """Refuse a tool whose data the bundle does not let this principal touch, there, or for so short a retention."""
    rule = inquiry.rule
    policy = inquiry.world.policy
    compliance = policy.compliance
    if rule.data_classes:
        principal = policy.principals.get(inquiry.call.principal)
        cleared = (
            compliance.allowed_data_classes
            if principal is None or principal.data_classes is None
            else (compliance.allowed_data_classes & principal.data_classes)
        )
        if not rule.data_classes <= cleared:
            barred = ", ".join(sorted(rule.data_classes - cleared))
            raise Refused(ReasonCode.COMPLIANCE_VIOLATION, f"the data class {barred} is not cleared for this principal")
    if rule.jurisdiction and rule.jurisdiction not in compliance.allowed_jurisdictions:
        raise Refused(ReasonCode.JURISDICTION_VIOLATION, f"the jurisdiction {rule.jurisdiction} is not allowed")
    if rule.retention_days < compliance.min_retention_days and rule.data_classes:
        raise Refused(
            ReasonCode.COMPLIANCE_VIOLATION,
            f"the tool keeps its data {rule.retention_days} days, the bundle asks for {compliance.min_retention_days}",
        )


OFFICE = Office("compliance", check, ReasonCode.COMPLIANCE_VIOLATION)
