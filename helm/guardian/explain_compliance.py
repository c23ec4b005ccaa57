"""What the compliance office will ask of a call: each rule by its id, and its answer as far as it is known."""

from __future__ import annotations

from collections.abc import Iterator

from helm.guardian.compliance import ComplianceRule, Kept
from helm.guardian.destination import normalise
from helm.guardian.duties import Concerned, applies, breaches
from helm.guardian.explanation import ASK, DENY, PASS, Row, Supposed, listed, verdict
from helm.guardian.policy import Policy, ToolRule

PHASE = "compliance"


def of_compliance(policy: Policy, rule: ToolRule, principal: str, supposed: Supposed) -> Iterator[Row]:
    """Yield what is asked of the data of a tool, of its place and of how long it is kept."""
    compliance, found = policy.compliance, policy.principals.get(principal)
    cleared = compliance.allowed_data_classes
    if found is not None and found.data_classes is not None:
        cleared &= found.data_classes
    if rule.data_classes:
        outcome = verdict(rule.data_classes <= cleared, "COMPLIANCE_VIOLATION")
        yield Row(PHASE, f"touches {listed(rule.data_classes)}", outcome)
        kept = rule.retention_days >= compliance.min_retention_days
        outcome = verdict(kept, "COMPLIANCE_VIOLATION")
        yield Row(PHASE, f"keeps its data {rule.retention_days} days", outcome)
    if rule.jurisdiction:
        allowed = rule.jurisdiction in compliance.allowed_jurisdictions
        yield Row(PHASE, f"in {rule.jurisdiction}", verdict(allowed, "JURISDICTION_VIOLATION"))
    for one in rule.compliance_rules:
        yield of_rule(policy, rule, one, principal, supposed)


def of_rule(policy: Policy, tool: ToolRule, rule: ComplianceRule, principal: str, supposed: Supposed) -> Row:
    """Return what one rule asks; its answer stays open where it depends on what is not known here."""
    what = f"rule {rule.id}: {demands(rule)}"
    if depends(rule, tool, principal, supposed):
        return Row(PHASE, f"{what}{whom(rule)}", ASK)
    fixed = tool.destination.fixed if tool.destination is not None else ""
    concerned = Concerned((principal,), supposed.tenant, normalise(fixed) if fixed else None)
    if not applies(rule, concerned):
        return Row(PHASE, f"{what}{whom(rule)}: not for this call", PASS)
    broken = next(breaches(rule, tool, policy.compliance, concerned), None)
    if broken is None:
        return Row(PHASE, what, PASS)
    return Row(PHASE, f"{what}: {broken.why}", f"{DENY} {broken.code}")


def depends(rule: ComplianceRule, tool: ToolRule, principal: str, supposed: Supposed) -> bool:
    """Say whether the answer depends on a principal, a tenant or a destination that is not known."""
    by_principal = rule.principals is not None or Kept.PRINCIPAL in rule.of
    by_tenant = rule.tenants is not None or Kept.TENANT in rule.of
    by_destination = rule.destinations is not None or Kept.DESTINATION in rule.of
    named = tool.destination is not None and not tool.destination.fixed
    return (by_principal and not principal) or (by_tenant and not supposed.tenant) or (by_destination and named)


def demands(rule: ComplianceRule) -> str:
    """Say what a rule demands."""
    of = listed(rule.of)
    allowed = rule.allow_jurisdictions
    parts = (
        f"no data above {rule.max_data_class}" if rule.max_data_class else "",
        f"{of} only in {listed(allowed)}" if allowed is not None else "",
        f"{of} not in {listed(rule.deny_jurisdictions)}" if rule.deny_jurisdictions else "",
        f"kept at least {rule.min_retention_days} days" if rule.min_retention_days is not None else "",
        f"kept at most {rule.max_retention_days} days" if rule.max_retention_days is not None else "",
    )
    return ", ".join(part for part in parts if part)


def whom(rule: ComplianceRule) -> str:
    """Say for whose calls a rule is, "" for everyone's."""
    if rule.is_for_everyone:
        return ""
    some = ("principals", rule.principals), ("tenants", rule.tenants), ("destinations", rule.destinations)
    return f", for some {' and '.join(name for name, names in some if names is not None)}"
