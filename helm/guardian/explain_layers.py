"""Which layer decides each limit of a tool for one caller: P0 ceilings, the P1 bundle, P2 overlays, or a delegation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from helm.guardian.bundle_rules import P0_BUDGET
from helm.guardian.ceilings import Ceilings
from helm.guardian.delegation import DelegationGrant
from helm.guardian.explain import may_bind
from helm.guardian.layers import Layers
from helm.guardian.overlay import Limits, Overlay
from helm.guardian.policy import ApprovalRule, Budget, Policy, ToolRule
from helm.guardian.precedence import Precedence

P0, P1 = "P0", "P1 bundle"
LIMITS = (
    ("tool_call_limit", "calls"),
    ("spend_limit_cents", "cents"),
    ("write_operation_limit", "write operations"),
    ("egress_limit_bytes", "bytes out"),
    ("approval_required_above_cents", "cents before a human is asked"),
)


class Layer(NamedTuple):
    """One limit, what it is, and which layer decides it."""

    limit: str
    value: str
    decided_by: str


def explain_layers(
    layers: Layers, precedence: Precedence, tool: str, caller: tuple[str, str], grants: tuple[DelegationGrant, ...] = ()
) -> tuple[Layer, ...]:
    """Return what decides each limit of a tool for `caller`, (tenant, principal)."""
    rule = layers.bundle.tool(tool)
    if rule is None:
        return (Layer("tool", "not declared", P1),)
    overlays = layers.binding(*caller)
    policy = layers.of(*caller)
    rows = (
        of_tool(rule, policy, overlays, caller[1]),
        of_ceilings(precedence, rule),
        of_rule(rule, policy.tool(tool), overlays),
        of_budgets(layers.bundle, policy, overlays, rule.name, caller[1]),
        of_delegations(grants, rule.name, caller),
    )
    return tuple(row for found in rows for row in found)


def of_tool(rule: ToolRule, policy: Policy, overlays: tuple[Overlay, ...], principal: str) -> Iterator[Layer]:
    removing = [overlay.id for overlay in overlays if rule.name in overlay.removed]
    ceiling = policy.p0.forbids(policy.tool(rule.name) or rule)
    if removing:
        yield Layer("tool", "removed", f"P2 {', '.join(removing)}")
    elif ceiling:
        yield Layer("tool", f"forbidden: {ceiling}", P0)
    elif principal and not rule.admits(principal):
        yield Layer("tool", f"not for {principal}", P1)
    else:
        yield Layer("tool", "allowed", P1)


def of_ceilings(precedence: Precedence, rule: ToolRule) -> Iterator[Layer]:
    """Yield the P0 ceilings in force, and the ones that wait."""
    in_force, stated = precedence.in_force, precedence.stated
    if in_force is None or stated is None:
        return
    yield Layer("highest risk tier", in_force.max_risk_tier, P0)
    waits = f", in force at {precedence.due_at_ms} ms" if precedence.due_at_ms else ", given up"
    if precedence.held is not None:
        for name, had, wanted in raises(in_force, stated.ceilings):
            yield Layer(f"raise of {name}", f"from {had} to {wanted}{waits}", P0)


def raises(in_force: Ceilings, stated: Ceilings) -> Iterator[tuple[str, str, str]]:
    """Yield the ceilings that are lower than what the bundle states: name, in force, stated."""
    had, wanted = in_force.document(), stated.document()
    for name in had:
        if had[name] != wanted[name]:
            yield name, words(had[name]), words(wanted[name])


def words(value: object) -> str:
    """Return the value of a ceiling for people."""
    if isinstance(value, list):
        return ", ".join(words(one) for one in value) or "none"
    if isinstance(value, dict) and "window_s" not in value:
        return ", ".join(f"{name} {words(one)}" for name, one in value.items())
    if isinstance(value, dict):
        named = {"spend_cents": "cents", "tool_calls": "calls"}
        limits = [f"{value[name]} {unit}" for name, unit in named.items() if value[name] is not None]
        return f"{' and '.join(limits)} in {value['window_s']} s"
    return str(value)


def of_rule(rule: ToolRule, left: ToolRule | None, overlays: tuple[Overlay, ...]) -> Iterator[Layer]:
    if left is None:
        return
    narrowing = [(overlay.id, overlay.tools[rule.name]) for overlay in overlays if rule.name in overlay.tools]
    tiers = [name for name, one in narrowing if one.risk_tier == left.risk_tier != rule.risk_tier]
    yield Layer("risk tier", left.risk_tier, f"P2 {tiers[0]}" if tiers else P1)
    for requirement in left.requirements:
        overlay, slash, _ = requirement.id.partition("/")
        by = f"P2 {overlay}" if slash and requirement not in rule.requirements else P1
        yield Layer("requirement", f"{requirement.id}: {requirement.reason}", by)
    if rule.destination is not None:
        names = [name for name, one in narrowing if one.allow_destinations is not None or one.deny_destinations]
        allowed, denied = len(left.allow_destinations), len(left.deny_destinations)
        by = f"P2 {', '.join(names)}" if names else P1
        yield Layer("destinations", f"{allowed} patterns allowed, {denied} denied", by)
    if left.approval is not None:
        names = [name for name, one in narrowing if one.approval is not None]
        yield Layer("approval", of_approval(left.approval), f"P2 {', '.join(names)}" if names else P1)


def of_approval(approval: ApprovalRule) -> str:
    when = "always" if approval.when is None else "under a condition"
    return f"{when}, by {approval.quorum}, after {approval.timelock_s} s, within {approval.expires_s} s"


def of_budgets(
    bundle: Policy, policy: Policy, overlays: tuple[Overlay, ...], tool: str, principal: str
) -> Iterator[Layer]:
    """Yield the limits of every budget that may bind such a call."""
    for budget in policy.budgets:
        if not may_bind(budget, tool, principal):
            continue
        own = bundle.budgets_by_id.get(budget.id)
        for name, unit in LIMITS:
            limit = limits_of(budget)[name]
            if limit is not None:
                said = f"{limit} {unit} in {budget.window_s} s"
                yield Layer(f"budget {budget.id}", said, decider(budget, own, overlays, name))


def decider(budget: Budget, own: Budget | None, overlays: tuple[Overlay, ...], name: str) -> str:
    """Return which layer states a limit of a budget: the lowest wins."""
    limit = limits_of(budget)[name]
    for overlay in overlays:
        lowered = overlay.lowered.get(budget.id)
        added = any(one.id == budget.id for one in overlay.added)
        if added or (lowered is not None and limits_of(lowered)[name] == limit and not states(own, name, limit)):
            return f"P2 {overlay.id}"
    return P0 if budget.id.partition("@")[0] == P0_BUDGET else P1


def states(own: Budget | None, name: str, limit: int | None) -> bool:
    return own is not None and limits_of(own)[name] == limit


def limits_of(budget: Budget | Limits) -> dict[str, int | None]:
    """Return the limits of a budget by name."""
    return {
        "tool_call_limit": budget.tool_call_limit,
        "spend_limit_cents": budget.spend_limit_cents,
        "write_operation_limit": budget.write_operation_limit,
        "egress_limit_bytes": budget.egress_limit_bytes,
        "approval_required_above_cents": budget.approval_required_above_cents,
    }


def of_delegations(grants: tuple[DelegationGrant, ...], tool: str, caller: tuple[str, str]) -> Iterator[Layer]:
    """Yield what each delegation lets the caller do in another's name: never more than that one may do."""
    for grant in grants:
        if (grant.tenant, grant.delegate) == caller and tool in grant.capabilities:
            condition = grant.capabilities[tool] or "no condition"
            yield Layer("delegation", f"in the name of {grant.delegator}, {condition}", "delegation")
