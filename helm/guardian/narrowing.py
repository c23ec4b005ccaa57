"""Makes one policy of a bundle, the ceilings in force and the overlays that bind a caller: of each limit, the lowest.

It is done when one of them changes, for every class of callers; a call only looks up which class it is in. Nothing
here can widen: each step only intersects, takes the lower, or adds what must hold as well.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType
from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto import domains
from helm.crypto.canonical import canonical
from helm.crypto.hashing import hash_in
from helm.guardian.bundle_overlay import UNASKED
from helm.guardian.bundle_rules import P0_BUDGET
from helm.guardian.bundle_tools import set_of
from helm.guardian.ceilings import Ceilings, lower
from helm.guardian.cel_grammar import together
from helm.guardian.destination import Pattern
from helm.guardian.overlay import ApprovalNarrowing, Limits, Overlay, ToolNarrowing
from helm.guardian.policy import ApprovalRule, Budget, Policy, Requirement, ToolRule

VERSION: Final = "helm.policy-set/1"

MAX_BUDGETS: Final = 256
"""Budgets that bind one class of callers: each is looked at in every call (T4)."""

NOBODY: Final = ("nobody -",)
"""Where no approver is left: no key has this name."""


def set_document(bundle_hash: str, overlay_hashes: Iterable[str], p0: dict[str, JSONValue]) -> bytes:
    """Return what names a policy set: the bundle, the overlays in the order of their ids, and the P0 ceilings in
    force, {} where they are the bundle's own."""
    body = {"bundle": bundle_hash, "overlays": [*overlay_hashes], "p0": p0, "version": VERSION}
    return canonical(body)


def set_hash(document: bytes) -> str:
    """Return the policy_hash of a policy set: what the seeds call the hash of the active policy bundle set."""
    return hash_in(domains.POLICY_SET, document)


def narrowed(bundle: Policy, held: Ceilings | None, overlays: tuple[Overlay, ...]) -> Policy:
    """Return the policy that binds whom all of these bind; `held` are ceilings that are not the bundle's own."""
    if held is None and not overlays:
        return bundle
    document = set_document(
        bundle.policy_hash,
        [overlay.overlay_hash for overlay in overlays],
        held.document() if held is not None else {},
    )
    policy = bundle if held is None else under(bundle, held)
    for overlay in overlays:
        policy = over(policy, overlay)
    return attrs.evolve(
        policy,
        policy_hash=set_hash(document),
        budgets_by_id=MappingProxyType({budget.id: budget for budget in policy.budgets}),
        document=document,
    )


def under(bundle: Policy, held: Ceilings) -> Policy:
    """Return the bundle under ceilings that are lower than its own."""
    own = tuple(budget for budget in bundle.budgets if budget.id != P0_BUDGET)
    return attrs.evolve(
        bundle,
        p0=held.compiled(),
        p0_ceiling_hash=held.hash,
        budgets=(*(one.budget() for one in held.budgets), *own),
    )


def over(policy: Policy, overlay: Overlay) -> Policy:
    """Return what is left of a policy where an overlay binds."""
    tools = {name: rule for name, rule in policy.tools.items() if name not in overlay.removed}
    for name, narrowing in overlay.tools.items():
        if name in tools:
            tools[name] = narrower(tools[name], narrowing, overlay.id, policy)
    lowered = tuple(lower_budget(budget, overlay.lowered.get(budget.id)) for budget in policy.budgets)
    # server_pins stay those of the bundle: a server is approved for all that it was pinned with.
    return attrs.evolve(policy, tools=MappingProxyType(tools), budgets=(*lowered, *overlay.added))


def narrower(rule: ToolRule, narrowing: ToolNarrowing, overlay_id: str, policy: Policy) -> ToolRule:
    """Return the rule of a tool, with what an overlay takes away from it."""
    added = [attrs.evolve(one, id=f"{overlay_id}/{one.id}") for one in narrowing.requirements]
    requirements: tuple[Requirement, ...] = (*rule.requirements, *added)
    allowed = rule.allow_destinations
    if narrowing.allow_destinations is not None:
        allowed = tuple(dict.fromkeys(common(allowed, narrowing.allow_destinations)))
    return attrs.evolve(
        rule,
        risk_tier=max(rule.risk_tier, narrowing.risk_tier),  # tiers sort as they rise, T0 to T3
        requirements=requirements,
        requirement_needs=together(one.program.needs for one in requirements),
        requirement_set_hash=hash_in(domains.REQUIREMENTS, canonical(set_of(requirements))),
        allow_destinations=allowed,
        deny_destinations=(*rule.deny_destinations, *narrowing.deny_destinations),
        approval=approval_of(rule.approval, narrowing.approval, policy.approvers),
    )


def common(allowed: tuple[Pattern, ...], left: tuple[Pattern, ...]) -> Iterable[Pattern]:
    """Yield the patterns that match what both lists let through."""
    for one in allowed:
        for other in left:
            both = one.meets(other)
            if both is not None:
                yield both


def approval_of(
    rule: ApprovalRule | None, asked: ApprovalNarrowing | None, everyone: tuple[str, ...]
) -> ApprovalRule | None:
    """Return when a human must agree, and how, where both hold."""
    if asked is None:
        return rule
    had = rule or attrs.evolve(UNASKED, approvers=everyone)
    required = had.required or asked.required
    return attrs.evolve(  # what an overlay cannot say stays as it is: the role that approvers must have
        had,
        required=required,
        when=None if required else had.when,
        quorum=max(had.quorum, asked.quorum),
        timelock_s=max(had.timelock_s, asked.timelock_s),
        expires_s=min(had.expires_s, asked.expires_s),
        max_per_hour=lower_rate(had.max_per_hour, asked.max_per_hour),
        max_per_day=lower_rate(had.max_per_day, asked.max_per_day),
        approvers=tuple(one for one in had.approvers if one in asked.approvers) or (had.approvers and NOBODY),
    )


def lower_rate(one: int, other: int) -> int:
    """Return the lower of two rates; 0 is none."""
    return min(one, other) if one and other else one or other


def lower_budget(budget: Budget, limits: Limits | None) -> Budget:
    """Return a budget with the lower of each limit."""
    if limits is None:
        return budget
    return attrs.evolve(
        budget,
        tool_call_limit=lower(budget.tool_call_limit, limits.tool_call_limit),
        spend_limit_cents=lower(budget.spend_limit_cents, limits.spend_limit_cents),
        write_operation_limit=lower(budget.write_operation_limit, limits.write_operation_limit),
        egress_limit_bytes=lower(budget.egress_limit_bytes, limits.egress_limit_bytes),
        approval_required_above_cents=lower(budget.approval_required_above_cents, limits.approval_required_above_cents),
    )


def check_names(overlays: tuple[Overlay, ...]) -> None:
    """Raise Invalid where two overlays add a budget of one id, whomever they bind: it is the name of one account.

    Two windows that count in one account would each begin the other's anew, and neither limit would hold (T8).
    """
    owners: dict[str, str] = {}
    for overlay in overlays:
        for budget in overlay.added:
            other = owners.setdefault(budget.id, overlay.id)
            if other != overlay.id:
                what = f"the budget {budget.id} stands in two of {other} and {overlay.id}"
                raise Invalid(what, "overlays", "rename it in one of them")


def check_sound(policy: Policy, overlays: tuple[Overlay, ...]) -> None:
    """Raise Invalid where overlays that bind the same callers ask for what nobody could give."""
    names = " and ".join(overlay.id for overlay in overlays)
    if len(policy.budgets) > MAX_BUDGETS:
        raise Invalid(f"{names} come to more than {MAX_BUDGETS} budgets", "overlays", "remove some")
    for rule in policy.tools.values():
        if rule.approval is not None and any(rule.name in overlay.tools for overlay in overlays):
            check_possible(rule, rule.approval, names)


def check_possible(rule: ToolRule, approval: ApprovalRule, names: str) -> None:
    """Raise Invalid for an approval that no set of approvers could ever give."""
    principals = {one.partition(" ")[0] for one in approval.approvers}
    if approval.approvers == NOBODY or (approval.quorum > 1 and len(principals) < approval.quorum):
        left = "nobody" if approval.approvers == NOBODY else f"{len(principals)} named"
        what = f"{names} together ask {approval.quorum} approvers for {rule.name}, and leave {left}"
        raise Invalid(what, "overlays", "name enough approvers in each, or remove the tool")
    if approval.timelock_s >= approval.expires_s:
        what = f"by {names} together, an approval of {rule.name} expires before its timelock ends"
        raise Invalid(what, "overlays", "lower timelock_s in one of them")
