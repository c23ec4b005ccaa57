"""Compliance pre-check: data classes, jurisdictions and retention of a call against the bundle's rules."""

from __future__ import annotations

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.destination import normalise
from helm.guardian.duties import Concerned, applies, breaches
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
    if rule.compliance_rules:
        _check_rules(inquiry)


def _check_rules(inquiry: Inquiry) -> None:
    """Refuse what breaks the first demand of the first rule that is for this call."""
    concerned, compliance = concerned_in(inquiry), inquiry.world.policy.compliance
    for rule in inquiry.rule.compliance_rules:
        if applies(rule, concerned):
            for breach in breaches(rule, inquiry.rule, compliance, concerned):
                raise Refused(breach.code, f"compliance rule {rule.id}: {breach.why}")


def concerned_in(inquiry: Inquiry) -> Concerned:
    """Return who and what is part of a call."""
    call, delegation = inquiry.call, inquiry.world.delegation
    principals = (call.principal,) if delegation is None else (call.principal, delegation.grant.delegator)
    return Concerned(principals, call.tenant, normalise(inquiry.destination) if inquiry.destination else None)


OFFICE = Office("compliance", check, ReasonCode.COMPLIANCE_VIOLATION)
