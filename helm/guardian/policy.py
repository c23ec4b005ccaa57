"""A policy as the guardian uses it: compiled once, frozen, ready for a call.

Everything that can be worked out at load is worked out at load; a call only compares.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType

import attrs

from helm.contracts.sandbox import SandboxGrant
from helm.contracts.schema import Schema
from helm.guardian.cel import Program
from helm.guardian.cel_grammar import Needs, together
from helm.guardian.cel_plain import Plain, plain_of
from helm.guardian.compliance import Compliance, ComplianceRule
from helm.guardian.connection import Connection
from helm.guardian.destination import Pattern
from helm.guardian.glob import Names
from helm.guardian.identity import NO_IDENTITY, Identity
from helm.guardian.oauth import OAuthProfile
from helm.guardian.overgrant import NO_SANDBOX, SandboxCeilings, in_words, overgrants
from helm.guardian.points import OpaPoint, Point, PointRule
from helm.guardian.relations import NO_MODEL, AuthzModel
from helm.guardian.velocity import VelocityRule
from helm.guardian.window import Window


@attrs.frozen(kw_only=True)
class Requirement:
    """A condition that must hold, and what to say when it does not."""

    id: str
    program: Program
    reason: str


@attrs.frozen(kw_only=True)
class ApprovalRule:
    """When a human must agree: always (`required`), or where `when` holds.

    A limit of 0 is none. It counts what one principal asks for of the tool.
    """

    required: bool
    when: Program | None
    quorum: int
    timelock_s: int
    expires_s: int
    max_per_hour: int
    max_per_day: int
    approvers: tuple[str, ...]
    """"principal key_id" each; empty: whoever holds an approval key."""
    role: str = ""
    """The role in the trust registry that their keys must have when they say so, "" for none."""


@attrs.frozen(kw_only=True)
class DestinationRule:
    """Where a tool goes: always to `fixed`, or to what the argument names. One of the two is ""."""

    fixed: str
    argument: str


@attrs.frozen(kw_only=True)
class RelationRule:
    """In which relation a caller must stand to what: one object, or the one that an argument names."""

    object_type: str
    object_id: str
    object_argument: str
    relation: str


@attrs.frozen(kw_only=True, eq=False)
class ToolRule:
    """Everything the policy says of one tool."""

    name: str
    connector: str
    operation: str
    effect_type: str
    risk_tier: str
    stated_tier: str
    """What the bundle calls it. Expressions are about this one: an overlay that raises the tier must not satisfy a
    condition of the bundle by that."""
    irreversible: bool
    timeout_ms: int
    spend_cents: int
    principals: Names
    input_schema: Schema
    input_schema_hash: str
    output_schema: Schema
    output_schema_hash: str
    destination: DestinationRule | None
    """None for a tool that reaches no network."""
    allow_destinations: tuple[Pattern, ...]
    deny_destinations: tuple[Pattern, ...]
    data_classes: frozenset[str]
    jurisdiction: str
    retention_days: int
    compliance_rules: tuple[ComplianceRule, ...]
    """Those of the bundle that are for its calls, or for some of them."""
    description: str
    """What agents are told of the tool, "" for nothing."""
    pin: str
    """The hash of what its MCP server listed, "" for a tool of no such server."""
    carries_permit: bool
    """Whether its calls travel with their signed permit."""
    sandbox_grant_hash: str
    """What its guests are granted, "" for a tool that is no guest."""
    sends_bytes: int
    """What a call may send beside its arguments, 0 for a tool that sends those alone."""
    sandbox_grant: SandboxGrant | None
    credential: str
    """The credential that a principal must hold, "" for none."""
    scopes: frozenset[str]
    """What the caller's access token must carry."""
    relation: RelationRule | None
    """In which relation its caller must stand, None where none is asked for."""
    point: PointRule | None
    """Which decision point must allow it as well, None where the built-in rules are enough."""
    windows: tuple[Window, ...]
    """Empty: at any hour."""
    velocity: tuple[VelocityRule, ...]
    """Its own rule and those of the bundle that count its calls; empty: at any pace."""
    requirements: tuple[Requirement, ...]
    requirement_needs: Needs
    """What all of them look at, so that it is converted once for all."""
    requirement_set_hash: str
    approval: ApprovalRule | None
    free_text: frozenset[str]
    accepts_tainted: bool

    plain_requirements: tuple[Plain, ...] = attrs.field(init=False, repr=False)
    """What answers the requirements without the engine; empty where it has to be asked."""

    limits_asking: bool = attrs.field(init=False, repr=False)
    """Whether it is counted how often humans are asked about its calls."""

    @plain_requirements.default
    def _find_plain(self) -> tuple[Plain, ...]:
        return plain_of([requirement.program.source for requirement in self.requirements])

    @limits_asking.default
    def _find_limits(self) -> bool:
        approval = self.approval
        limited = approval is not None and bool(approval.max_per_hour or approval.max_per_day)
        return limited or bool(self.windows) or any(rule.interrupt_above for rule in self.velocity)

    def admits(self, principal: str) -> bool:
        """Tell whether the policy names this principal for the tool."""
        return principal in self.principals

    @property
    def approval_when(self) -> Program | None:
        """The condition under which a human must agree, if there is one."""
        return self.approval.when if self.approval is not None else None


@attrs.frozen(kw_only=True)
class P0Ceilings:
    """What no bundle, overlay or delegation may go beyond."""

    max_risk_tier: str
    denied_tools: Names
    denied_effect_types: frozenset[str]
    denied_destinations: tuple[Pattern, ...]
    sandbox: SandboxCeilings

    def forbids(self, rule: ToolRule) -> str:
        """Return which ceiling forbids the tool, "" where none does. Tiers sort as they rise, T0 to T3."""
        if rule.risk_tier > self.max_risk_tier:
            return f"max_risk_tier {self.max_risk_tier}"
        if rule.effect_type in self.denied_effect_types:
            return f"denied_effect_types {rule.effect_type}"
        return "denied_tools" if rule.name in self.denied_tools else ""

    def overgrant(self, rule: ToolRule) -> str:
        """Return what the tool's guests are granted beyond their profile and the ceilings, "" for nothing."""
        return "" if rule.sandbox_grant is None else in_words(overgrants(rule.sandbox_grant, self.sandbox))


@attrs.frozen(kw_only=True)
class PrincipalRule:
    """What the policy says of one principal beyond the tools that name it."""

    delegation_keys: frozenset[str]
    """The keys with which it delegates."""
    delegation_mfa: bool
    """Whether it must prove to be there whenever it delegates."""
    delegation_required: bool
    data_classes: frozenset[str] | None
    """None: whatever the compliance rules clear."""
    credentials: frozenset[str]


class SubjectKind(StrEnum):
    """Whose calls a budget counts together."""

    ALL = "*"
    PRINCIPAL = "principal"
    TENANT = "tenant"
    TOOL = "tool"
    EACH_PRINCIPAL = "each-principal"


@attrs.frozen(kw_only=True)
class Budget:
    """A ceiling per window. Windows are aligned to the epoch; None is no limit of that kind."""

    id: str
    subject: SubjectKind
    subject_name: str
    tool_call_limit: int | None
    spend_limit_cents: int | None
    write_operation_limit: int | None
    egress_limit_bytes: int | None
    """Arguments of calls that go to the network, in canonical bytes, and what their tunnels may send."""
    approval_required_above_cents: int | None
    """What may be spent in a window before a human is asked for every further call that costs anything."""
    window_s: int

    def account(self, tenant: str, principal: str, tool: str) -> str:
        """Return the account in which such a call counts, "" where the budget does not bind it.

        A principal's name means something only within its tenant, so that no tenant spends what is another's.
        """
        subject = self.subject
        if subject is SubjectKind.ALL:
            return self.id
        if subject is SubjectKind.TENANT:
            return self.id if tenant == self.subject_name else ""
        if subject is SubjectKind.TOOL:
            return self.id if tool == self.subject_name else ""
        if subject is SubjectKind.PRINCIPAL and principal != self.subject_name:
            return ""
        return f"{self.id}/{tenant} {principal}"  # no name holds a blank


@attrs.frozen(kw_only=True, eq=False)
class Policy:
    """One bundle, compiled. `document` is the whole of it in canonical bytes: what is hashed and kept."""

    policy_hash: str
    scope: str
    epoch: int
    not_before_ms: int
    max_age_s: int
    """0: it does not grow stale."""
    p0: P0Ceilings
    p0_ceiling_hash: str
    compliance: Compliance
    principals: Mapping[str, PrincipalRule]
    approvers: tuple[str, ...]
    """Everyone who may approve anything, "principal key_id" each."""
    aliases: Mapping[str, str]
    """As whom else approvers call, each name with its approver's."""
    budgets: tuple[Budget, ...]
    budgets_by_id: Mapping[str, Budget]
    connectors: Mapping[str, Connection]
    tools: Mapping[str, ToolRule]
    server_pins: Mapping[str, str]
    """By MCP server: the hash of all its pinned tools."""
    authz: AuthzModel
    points: Mapping[str, Point]
    remote_points: tuple[OpaPoint, ...]
    """Those of the decision points that are asked over the network."""
    identity: Identity
    """Whose word counts on who is calling."""
    oauth: OAuthProfile | None
    """Whose access tokens open the MCP door, None where none does."""
    document: bytes = attrs.field(repr=False)

    def tool(self, name: str) -> ToolRule | None:
        """Return the rule of a tool, None for one that is not declared."""
        return self.tools.get(name)

    def rule(self, name: str) -> ToolRule:
        """Return the rule of a tool, UNDECLARED for one that is not declared: default deny (T1)."""
        return self.tools.get(name, UNDECLARED)

    def budgets_for(self, tenant: str, principal: str, tool: str) -> Iterator[tuple[str, Budget]]:
        """Yield (account, budget) of every ceiling that binds such a call."""
        for budget in self.budgets:
            account = budget.account(tenant, principal, tool)
            if account:
                yield account, budget


NOBODY = Names(exact=frozenset(), globs=())

UNDECLARED = ToolRule(
    name="",
    connector="",
    operation="",
    effect_type="",
    risk_tier="",
    stated_tier="",
    irreversible=False,
    timeout_ms=1,
    spend_cents=0,
    principals=NOBODY,
    input_schema=Schema.compile({"not": {}}, "undeclared tool"),
    input_schema_hash="",
    output_schema=Schema.compile({"not": {}}, "undeclared tool"),
    output_schema_hash="",
    destination=None,
    allow_destinations=(),
    deny_destinations=(),
    data_classes=frozenset(),
    jurisdiction="",
    retention_days=0,
    compliance_rules=(),
    description="",
    pin="",
    carries_permit=False,
    sandbox_grant_hash="",
    sends_bytes=0,
    sandbox_grant=None,
    credential="",
    scopes=frozenset(),
    relation=None,
    point=None,
    windows=(),
    velocity=(),
    requirements=(),
    requirement_needs=together(()),
    requirement_set_hash="",
    approval=None,
    free_text=frozenset(),
    accepts_tainted=False,
)
"""The rule of a tool that no policy declares: it admits nobody and nothing (T1). The effect office refuses it."""

NO_POLICY = Policy(
    policy_hash="",
    scope="",
    epoch=0,
    not_before_ms=0,
    max_age_s=0,
    p0=P0Ceilings(
        max_risk_tier="",
        denied_tools=NOBODY,
        denied_effect_types=frozenset(),
        denied_destinations=(),
        sandbox=NO_SANDBOX,
    ),
    p0_ceiling_hash="",
    compliance=Compliance(
        allowed_data_classes=frozenset(),
        allowed_jurisdictions=frozenset(),
        min_retention_days=0,
        ranks=MappingProxyType({}),
        places=(),
        rules=(),
    ),
    principals=MappingProxyType({}),
    approvers=(),
    aliases=MappingProxyType({}),
    budgets=(),
    budgets_by_id=MappingProxyType({}),
    connectors=MappingProxyType({}),
    tools=MappingProxyType({}),
    server_pins=MappingProxyType({}),
    authz=NO_MODEL,
    points=MappingProxyType({}),
    remote_points=(),
    identity=NO_IDENTITY,
    oauth=None,
    document=b"",
)
"""What is in force before any policy is: it declares nothing. The effect office refuses every call under it."""
