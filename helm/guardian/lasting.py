"""Lasting effects: whether what was allowed, and goes on, would be allowed in the world of this moment (T9).

A tunnel outlives its decision. Whenever a policy, a key, a session or a delegation has changed, it is looked at again
by every office but those that count or ask: how often, how much, at which hour, and whom else, was answered once.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from helm.contracts.call import ToolCall
from helm.contracts.decision import ALLOW
from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.address import check_address
from helm.guardian.chain import Chain
from helm.guardian.connection import TunnelConnection
from helm.guardian.destination import Destination, Pattern
from helm.guardian.gates import context, delegation, egress, freeze, identity, threat
from helm.guardian.inquiry import Inquiry, Office
from helm.guardian.offices import authz, compliance, effect, pdp, pep, prg
from helm.guardian.policy import Policy
from helm.guardian.world import World

LASTING: Final = Chain(
    (
        freeze.GATE,
        context.GATE,
        identity.GATE,
        egress.GATE,
        threat.GATE,
        delegation.GATE,
        effect.OFFICE,
        compliance.OFFICE,
        pep.OFFICE,
        authz.OFFICE,
        prg.OFFICE,
        Office("pdp", pdp.check_may, ReasonCode.PDP_ERROR),
    )
)


class Withdrawn(NamedTuple):
    """Why what goes on must end: the code of its receipt, and words that say what came."""

    code: str
    reason: str


def withdrawn(call: ToolCall, world: World, allowed_by: str, leads_to: Destination | None) -> Withdrawn | None:
    """Return why this call must end, None where it would be allowed.

    `allowed_by` is the hash of the policy that allowed it, and `leads_to` the address that it is joined to. One that is
    joined to none yet finds its address under that policy alone, so another one ends it.
    """
    if leads_to is None and world.policy.policy_hash != allowed_by:
        return Withdrawn(ReasonCode.POLICY_HASH_MISMATCH.value, "another policy came into force")
    standing = world.delegation
    if standing is not None:  # that a call with its sequence was let through is this call itself
        world = world.but(delegation=standing.but(used=False))
    inquiry = Inquiry(call, world, world.policy.rule(call.tool))
    finding = LASTING.find(inquiry)
    if finding.verdict != ALLOW:
        return Withdrawn(finding.code, f"it is allowed no longer: {finding.reason}")
    if leads_to is None:
        return None
    try:
        check_end(world.policy, inquiry.rule.connector, leads_to)
    except Refused as refusal:
        return Withdrawn(refusal.code.value, f"it is allowed no longer: {refusal.reason}")
    return None


def check_end(policy: Policy, connector: str, leads_to: Destination) -> None:
    """Refuse an address that a tunnel of this connector may not be joined to. Raises Refused."""
    connection = policy.connectors.get(connector)
    if not isinstance(connection, TunnelConnection):
        raise Refused(ReasonCode.POLICY_NOT_READY, "its tool opens no tunnels any more")
    check_address(leads_to.host, allow_private=connection.allow_private)
    if any(pattern.touches(leads_to) for pattern in denied_to(policy, connector)):
        raise Refused(ReasonCode.DATA_EGRESS_BLOCKED, f"it leads to {leads_to}, which is denied")


def denied_to(policy: Policy, connector: str) -> tuple[Pattern, ...]:
    """Return what no tool of a connector may reach, also where a name leads there."""
    tools = [rule for rule in policy.tools.values() if rule.connector == connector]
    return (*policy.p0.denied_destinations, *(pattern for rule in tools for pattern in rule.deny_destinations))
