"""A P2 overlay as the guardian uses it: what it takes away from the bundle that it narrows, for whom.

It is compiled against that bundle. There is no member in which it could say more than the bundle does.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from helm.guardian.destination import Pattern
from helm.guardian.policy import Budget, Requirement


@attrs.frozen(kw_only=True)
class ApprovalNarrowing:
    """What must hold of the approval of a tool, at least; every member is within what the bundle asks."""

    required: bool
    """Whether a human must always agree."""
    quorum: int
    timelock_s: int
    expires_s: int
    max_per_hour: int
    max_per_day: int
    approvers: tuple[str, ...]
    """"principal key_id" each, as in an ApprovalRule; empty only where the bundle names nobody."""


@attrs.frozen(kw_only=True)
class ToolNarrowing:
    """What is narrower about one tool."""

    risk_tier: str
    """A higher tier, "" for the bundle's."""
    requirements: tuple[Requirement, ...]
    allow_destinations: tuple[Pattern, ...] | None
    """None: what the bundle allows."""
    deny_destinations: tuple[Pattern, ...]
    approval: ApprovalNarrowing | None


@attrs.frozen(kw_only=True)
class Limits:
    """Lower limits of a budget that the bundle has; None leaves one as it is."""

    tool_call_limit: int | None
    spend_limit_cents: int | None
    write_operation_limit: int | None
    egress_limit_bytes: int | None
    approval_required_above_cents: int | None


@attrs.frozen(kw_only=True, eq=False)
class Overlay:
    """One overlay, compiled. `document` is the whole of it in canonical bytes: what is hashed and kept."""

    id: str
    epoch: int
    narrows: str
    """The policy_hash of the bundle that it was written for, and no other."""
    principals: frozenset[str]
    """Whom it binds, by name; empty: everyone."""
    tenants: frozenset[str]
    """In which tenants; empty: in all."""
    removed: frozenset[str]
    tools: Mapping[str, ToolNarrowing]
    lowered: Mapping[str, Limits]
    added: tuple[Budget, ...]
    overlay_hash: str
    document: bytes = attrs.field(repr=False)

    def binds(self, tenant: str, principal: str) -> bool:
        """Tell whether it narrows what this principal may do."""
        return (not self.principals or principal in self.principals) and (not self.tenants or tenant in self.tenants)
