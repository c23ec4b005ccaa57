"""A delegation grants no more than its delegator has: looked at when it is given, and again at every call (gate 5)."""

from __future__ import annotations

from typing import Final

from helm.contracts.errors import Invalid
from helm.guardian.delegation import SKEW_MS, DelegationGrant, condition
from helm.guardian.duties import Concerned, applies, breaches
from helm.guardian.policy import Policy, PrincipalRule

MFA_FRESH_MS: Final = 5 * 60_000
"""How old MFA evidence may be where the policy asks for it."""


def check_new(grant: DelegationGrant, policy: Policy, now_ms: int) -> None:
    """Raise Invalid unless a delegation is current, and grants what its delegator has itself (seed: Delegation)."""
    if not grant.issued_at_ms - SKEW_MS <= now_ms < grant.expires_at_ms:
        raise Invalid("it is not in force now", "delegation", "look at the clocks, and sign a new one")
    delegator = policy.principals.get(grant.delegator)
    if delegator is None or grant.key_id not in delegator.delegation_keys:
        hint = "the policy names a principal's delegation_keys"
        raise Invalid(f"the key is not one of {grant.delegator}'s", "key_id", hint)
    if delegator.delegation_mfa and not 0 <= now_ms - grant.mfa_at_ms <= MFA_FRESH_MS:
        hint = f"prove it again: it counts for {MFA_FRESH_MS // 60_000} minutes"
        raise Invalid("the policy asks for MFA evidence, and there is none that is fresh", "mfa_at_ms", hint)
    for tool, source in grant.capabilities.items():
        check_capability(tool, grant.delegator, delegator, policy)
        check_complies(tool, grant, policy)
        if source:
            condition(source)


def check_capability(tool: str, name: str, delegator: PrincipalRule, policy: Policy) -> None:
    """Raise Invalid unless the delegator may use the tool itself."""
    where, rule = f"capabilities.{tool}", policy.tool(tool)
    if rule is None or not rule.admits(name):
        raise Invalid(f"{name} may not use {tool} itself", where, "delegate what the policy grants to the delegator")
    ceiling = policy.p0.forbids(rule)
    if ceiling:
        raise Invalid(f"a P0 ceiling forbids {tool}: {ceiling}", where)
    if delegator.data_classes is not None and not rule.data_classes <= delegator.data_classes:
        raise Invalid(f"{name} is not cleared for the data of {tool}", where)
    if rule.credential and rule.credential not in delegator.credentials:
        raise Invalid(f"{name} does not hold the credential of {tool}", where)


def check_complies(tool: str, grant: DelegationGrant, policy: Policy) -> None:
    """Raise Invalid where a compliance rule keeps the delegator from the tool, wherever its calls may go."""
    rule = policy.rule(tool)
    concerned = Concerned((grant.delegator,), grant.tenant, None)
    for one in rule.compliance_rules:
        if applies(one, concerned):
            for breach in breaches(one, rule, policy.compliance, concerned):
                what = f"{grant.delegator} does not comply with rule {one.id}: {breach.why}"
                raise Invalid(what, f"capabilities.{tool}", "leave the tool out")
