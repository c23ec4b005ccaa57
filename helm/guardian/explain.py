"""What a policy says of one tool, in the order in which the guardian asks.

It decides nothing: the rows say what will be compared, and what is settled already without a call.
"""

from __future__ import annotations

from collections.abc import Iterator

from helm.contracts.verdict import WRITING
from helm.guardian.explain_compliance import of_compliance
from helm.guardian.explain_temporal import of_time
from helm.guardian.explanation import ASK, DENY, ESCALATE, NOTHING, PASS, Row, Supposed, listed, verdict
from helm.guardian.points import OpaPoint, PointRule
from helm.guardian.policy import ApprovalRule, Budget, Policy, ToolRule


def explain(policy: Policy, tool: str, principal: str = "", supposed: Supposed = NOTHING) -> tuple[Row, ...]:
    """Return the rules that apply to a tool, and to one principal using it if one is named."""
    rule = policy.tool(tool)
    if rule is None:
        return (Row("effect", f"the policy declares no tool {tool}", f"{DENY} NO_POLICY_DEFINED"),)
    offices = (
        of_identity(policy, rule, principal),
        of_egress(policy, rule),
        of_threat(rule),
        of_delegation(policy, principal),
        of_effect(policy, rule),
        of_time(rule, supposed),
        of_compliance(policy, rule, principal, supposed),
        of_schema(rule),
        of_relation(policy, rule),
        of_requirements(rule),
        of_decision(policy, rule, principal),
        of_budget(policy, rule, principal),
    )
    return tuple(row for rows in offices for row in rows)


def of_relation(policy: Policy, rule: ToolRule) -> Iterator[Row]:
    relation = rule.relation
    if relation is None:
        return
    named = relation.object_id or f"what the argument {relation.object_argument} names"
    yield Row("authz", f"the caller is {relation.relation} of the {relation.object_type} {named}", ASK)
    if policy.authz.max_age_s:
        yield Row("authz", f"relationships are stale after {policy.authz.max_age_s} s", f"else {DENY} PDP_ERROR")


def of_identity(policy: Policy, rule: ToolRule, principal: str) -> Iterator[Row]:
    if not rule.credential:
        return
    holder = policy.principals.get(principal)
    holds = holder is not None and rule.credential in holder.credentials
    outcome = verdict(holds, "IDENTITY_ISOLATION_VIOLATION") if principal else ASK
    yield Row("identity", f"the principal holds the credential {rule.credential}", outcome)


def of_egress(policy: Policy, rule: ToolRule) -> Iterator[Row]:
    if rule.destination is None:
        yield Row("egress", "reaches no network", PASS)
        return
    goes = rule.destination.fixed or f"what the argument {rule.destination.argument} names"
    yield Row("egress", f"goes to {goes}", ASK)
    denied = (*policy.p0.denied_destinations, *rule.deny_destinations)
    if denied:
        yield Row("egress", f"{len(denied)} patterns of destinations are denied", ASK)
    yield Row("egress", f"{len(rule.allow_destinations)} patterns of destinations are declared", ASK)


def of_threat(rule: ToolRule) -> Iterator[Row]:
    skipped = f", but not the documents {listed(rule.free_text)}" if rule.free_text else ""
    yield Row("threat", f"scans the arguments for injection{skipped}", ASK)
    if rule.accepts_tainted:
        yield Row("threat", "accepts calls of tainted sessions", PASS)


def of_delegation(policy: Policy, principal: str) -> Iterator[Row]:
    found = policy.principals.get(principal)
    if found is not None and found.delegation_required:
        yield Row("delegation", f"{principal} acts only under a delegation session", ASK)
    for name, rule in policy.principals.items():
        if rule.delegation_keys and name != principal:
            mfa = ", with MFA evidence" if rule.delegation_mfa else ""
            yield Row("delegation", f"{name} may let {principal} act in its name{mfa}", PASS)


def of_effect(policy: Policy, rule: ToolRule) -> Iterator[Row]:
    if policy.not_before_ms:
        yield Row("effect", f"the policy is in force from {policy.not_before_ms} ms", ASK)
    if policy.max_age_s:
        yield Row("effect", f"the policy is stale {policy.max_age_s} s later", ASK)
    kind = f"{rule.effect_type}, {rule.risk_tier}{', irreversible' if rule.irreversible else ''}"
    operation = f", operation {rule.operation}" if rule.operation else ""
    yield Row("effect", f"{kind}, through {rule.connector}{operation}", PASS)


def of_schema(rule: ToolRule) -> Iterator[Row]:
    yield Row("pep", f"the arguments satisfy {rule.input_schema_hash}", ASK)


def of_requirements(rule: ToolRule) -> Iterator[Row]:
    for requirement in rule.requirements:
        yield Row("prg", f"{requirement.id}: {requirement.reason}", ASK)


def of_decision(policy: Policy, rule: ToolRule, principal: str) -> Iterator[Row]:
    ceiling = policy.p0.forbids(rule)
    yield Row("pdp", f"P0 ceilings: {ceiling or 'none forbids it'}", verdict(not ceiling, "PDP_DENY"))
    if rule.sandbox_grant is not None:
        overgrant = policy.p0.overgrant(rule)
        what = f"the grant {rule.sandbox_grant_hash}: {overgrant or 'not more than it may be'}"
        yield Row("pdp", what, verdict(not overgrant, "SANDBOX_VIOLATION"))
    who = f"names {principal}" if principal else "names the principal"
    outcome = verdict(rule.admits(principal), "INSUFFICIENT_PRIVILEGE") if principal else ASK
    yield Row("pdp", who, outcome)
    if rule.scopes:
        yield Row("pdp", f"the access token carries {listed(rule.scopes)}", ASK)
    if rule.point is not None:
        yield from of_point(rule.point)
    if rule.approval is not None:
        yield of_approval(rule.approval)


def of_point(rule: PointRule) -> Iterator[Row]:
    point = rule.point
    if isinstance(point, OpaPoint):
        by = ", ".join(f"{bundle} {revision}" for bundle, revision in point.bundles)
        what = f"{point.origin} allows it at {point.path} by {by}, within {point.deadline_ms} ms"
    else:
        what = f"the Cedar policies {point.content_hash} permit it"
    yield Row("pdp", f"{point.name}: {what}", f"else {DENY} PDP_DENY, PDP_ERROR")
    seen = "every argument" if rule.all_arguments else listed(rule.arguments) or "no argument"
    yield Row("pdp", f"{point.name} is shown who calls what, and {seen}", PASS)


def of_approval(approval: ApprovalRule) -> Row:
    approvers = "1 approver" if approval.quorum == 1 else f"{approval.quorum} approvers"
    names = sorted({one.partition(" ")[0] for one in approval.approvers})
    of = f" of {', '.join(names)}" if names else ""
    of += f" in the role {approval.role}" if approval.role else ""
    who = f"{approvers}{of} after {approval.timelock_s} s, within {approval.expires_s} s"
    if approval.when is None:
        return Row("pdp", who, f"{ESCALATE} APPROVAL_REQUIRED")
    return Row("pdp", f"{who}, where {' '.join(approval.when.source.split())}", f"{ESCALATE} if it holds")


def of_budget(policy: Policy, rule: ToolRule, principal: str) -> Iterator[Row]:
    for budget in policy.budgets:
        if may_bind(budget, rule.name, principal):
            yield Row("budget", f"{budget.id}: {limits(budget, rule)} per {budget.window_s} s", ASK)


def may_bind(budget: Budget, tool: str, principal: str) -> bool:
    """Tell whether a budget could count such a call; which tenant calls is not known here."""
    if budget.subject == "tool":
        return budget.subject_name == tool
    return budget.subject != "principal" or principal in ("", budget.subject_name)


def limits(budget: Budget, rule: ToolRule) -> str:
    """Say what one call takes of each limit."""
    parts = (
        (budget.tool_call_limit, "1 of {} calls"),
        (budget.spend_limit_cents, f"{rule.spend_cents} of {{}} cents"),
        (budget.write_operation_limit, f"{int(rule.effect_type in WRITING)} of {{}} write operations"),
    )
    return ", ".join(text.replace("{}", str(limit)) for limit, text in parts if limit is not None)
