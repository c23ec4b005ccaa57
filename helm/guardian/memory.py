"""The guardian's memory: everything it knows from earlier nodes, and the World it makes of that for one call.

The memory is a fold. Live, each decision and command is noted as it is made; after a restart the same notes are made
from the journal, and the same memory comes of it.
"""

from __future__ import annotations

import attrs

from helm.contracts.call import ASKING, ToolCall
from helm.contracts.decision import ALLOW, ESCALATE, Decision
from helm.contracts.reason import ReasonCode
from helm.contracts.receipt import Receipt
from helm.contracts.verdict import Status
from helm.guardian.approvals import Approvals
from helm.guardian.bearers import Bearers
from helm.guardian.delegation import Standing
from helm.guardian.delegations import Delegations
from helm.guardian.exchanges import Exchanges
from helm.guardian.freezes import Freezes
from helm.guardian.layers import Layers
from helm.guardian.ledger import Ledger
from helm.guardian.policy import NO_POLICY, Policy, RelationRule, ToolRule
from helm.guardian.precedence import Precedence
from helm.guardian.relations import AuthzSnapshot, Question, Relations, look, subject_of
from helm.guardian.servers import Servers
from helm.guardian.sessions import Sessions
from helm.guardian.velocities import Velocities
from helm.guardian.velocity import Pace
from helm.guardian.world import World
from helm.trust.event import EventKind, TrustEvent

SUCCESS = Status.SUCCESS.value

RELEASING = frozenset({Status.NOT_DISPATCHED, Status.INTERRUPTED})
"""Outcomes that prove that nothing happened: only they give a reservation back."""


NONE_ASKED = (0, 0)

NO_PACE: tuple[Pace, ...] = ()


@attrs.frozen(kw_only=True)
class Boot:
    """What is fixed from the start of a kernel to its end."""

    fingerprint: str
    kernel_epoch: int
    log_id: str


@attrs.frozen(kw_only=True)
class Active:
    """The policy that was activated last, as far as a successor must know it."""

    scope: str
    epoch: int
    policy_hash: str


@attrs.define
class Memory:
    """What the guardian remembers."""

    policy: Policy = NO_POLICY
    """What binds whom no overlay names."""
    layers: Layers | None = None
    """What binds the others, and what is under other ceilings than its own; None where the bundle alone is in force."""
    precedence: Precedence = attrs.field(factory=Precedence)
    latest_ms: int = attrs.field(default=0, eq=False)
    """The latest hour that any decision was taken at: a clock that was set back since does not shorten a wait (T7)."""
    active: Active | None = None
    """Known from the journal also before any policy is compiled again."""
    sessions: Sessions = attrs.field(factory=Sessions)
    ledger: Ledger = attrs.field(factory=Ledger)
    velocities: Velocities = attrs.field(factory=Velocities)
    freezes: Freezes = attrs.field(factory=Freezes)
    approvals: Approvals = attrs.field(factory=Approvals)
    exchanges: Exchanges = attrs.field(factory=Exchanges)
    servers: Servers = attrs.field(factory=Servers)
    delegations: Delegations = attrs.field(factory=Delegations)
    relations: Relations = attrs.field(factory=Relations)
    bearers: Bearers = attrs.field(factory=Bearers)
    """No gate looks at them: a door knows nobody by a key that was taken back."""
    halted: dict[str, str] = attrs.field(factory=dict)
    """Connectors that drifted, and why; halted until an operator resumes them (T3)."""

    def world(
        self, call: ToolCall, boot: Boot, *, now_ms: int, call_seq: int, fingerprint: str, conflict: bool
    ) -> World:
        """Return what a gate may look at for `call` at `now_ms`, but for what a remote decision point says."""
        standing = self.delegations.standing(call) if call.delegation_id else None
        policy = self.policy if self.layers is None else self.binding(call, standing)
        rule = policy.rule(call.tool)
        binding = self.sessions.find(call.session)
        asked = NONE_ASKED
        if rule.limits_asking or call.source.door == ASKING:
            asked = self.approvals.asked((call.tenant, call.principal, call.tool), now_ms)
        paces = NO_PACE
        if rule.velocity:
            delegator = "" if standing is None else standing.grant.delegator
            paces = self.velocities.paces(rule.velocity, call, delegator, now_ms)
        return World(
            self.approvals.standing(call),  # approval
            asked,  # approvals_asked
            None if rule.relation is None else self.related(rule.relation, call, standing, now_ms),  # authz
            self.ledger.standing(policy, call, now_ms),  # budgets
            call_seq,  # call_seq
            conflict,  # claim_conflict
            self.barring(rule, now_ms),  # connector_halted
            standing,  # delegation
            fingerprint,  # fingerprint
            boot.fingerprint,  # fingerprint_at_boot
            self.frozen(call),  # frozen
            boot.kernel_epoch,  # kernel_epoch
            boot.log_id,  # log_id
            now_ms,  # now_ms
            None,  # pdp
            policy,  # policy
            binding is not None and binding.closed_at(now_ms),  # session_closed
            binding.labels if binding is not None else (),  # session_labels
            binding.principal if binding is not None else "",  # session_owner
            paces,  # velocity
        )

    def binding(self, call: ToolCall, standing: Standing | None) -> Policy:
        """Return the policy that binds a call; under a delegation also what binds its delegator does."""
        if self.layers is None:
            return self.policy
        return self.layers.of(call.tenant, call.principal, "" if standing is None else standing.grant.delegator)

    def policy_for(self, call: ToolCall) -> Policy:
        """Return the policy that binds a call now."""
        if self.layers is None:
            return self.policy
        return self.binding(call, self.delegations.standing(call) if call.delegation_id else None)

    def frozen(self, call: ToolCall) -> str:
        """Return the reason code of the stop that covers a call, "" for none; in a killed agent's name nobody acts."""
        if not self.freezes.in_force:
            return ""
        stop = self.freezes.covering(call.tenant, call.principal)
        if stop or not call.delegation_id:
            return stop
        standing = self.delegations.standing(call)
        return "" if standing is None else self.freezes.covering(call.tenant, standing.grant.delegator)

    def policy_of(self, tenant: str, principal: str) -> Policy:
        """Return the policy that binds a principal for itself."""
        return self.policy if self.layers is None else self.layers.of(tenant, principal)

    @property
    def bundle(self) -> Policy:
        """The bundle in force, as its keeper signed it; NO_POLICY where none is."""
        return self.policy if self.layers is None else self.layers.bundle

    def put(self, layers: Layers) -> None:
        """Let these layers bind from the next call on."""
        self.layers = None if layers.is_plain else layers
        self.policy = layers.everyone

    def bound_by(self, decision: Decision) -> str:
        """Return the policy_hash of all that binds the caller of a decision, by what is folded of signed events."""
        found = self.delegations.bound.get(decision.delegation_id)
        own = found is not None and found.grant.tenant == decision.tenant
        names = (decision.principal, found.grant.delegator) if found is not None and own else (decision.principal,)
        return self.precedence.policy_hash(decision.tenant, names)

    def related(self, rule: RelationRule, call: ToolCall, standing: Standing | None, now_ms: int) -> AuthzSnapshot:
        """Return what the relationships say of `call`; who acts under a delegation is asked for as its delegator."""
        name = rule.object_id or (call.parsed.get(rule.object_argument) if type(call.parsed) is dict else "")
        principal = call.principal if standing is None else standing.grant.delegator
        question = Question(object=f"{rule.object_type}:{name}", relation=rule.relation, subject=subject_of(principal))
        return look(self.relations, self.policy.authz, question, now_ms)

    def barring(self, rule: ToolRule, now_ms: int) -> str:
        """Return why the connector of this tool may not serve it, "" where it may; a reason code may come first."""
        halt = self.halted.get(rule.connector, "")
        if halt or not rule.pin:
            return halt
        pins = self.policy.server_pins.get(rule.connector, "")
        return self.servers.barring(rule.connector, rule.operation or rule.name, pins, now_ms)

    def note_decision(self, decision: Decision) -> None:
        """Remember one decision: the session it bound and tainted, the budget it reserved, the approval it parked."""
        session = (decision.tenant, decision.session_id)
        self.latest_ms = max(self.latest_ms, decision.decided_at_ms)
        self.sessions.bind(session, decision.principal, decision.decided_at_ms)
        if decision.labels:
            self.sessions.taint(session, decision.principal, decision.labels)
        if decision.delegation_sequence:
            self.delegations.note(decision.delegation_id, decision.delegation_sequence)
        if decision.velocity:
            self.velocities.note(decision.velocity)
        if decision.verdict == ALLOW:
            self.ledger.reserve(decision.budget_reservation)
            if decision.approval_id:
                self.approvals.consume(decision)
        elif decision.verdict == ESCALATE:
            self.approvals.park(decision)

    def note_written(self, decision: Decision, record_id: str) -> None:
        """Remember that a refusal is durable: from now on humans can answer what it asks."""
        if decision.approval_quorum:
            self.approvals.note_written(decision.approval_id, record_id)

    def note_outcome(self, decision: Decision, receipt: Receipt, connector: str) -> None:
        """Remember what became of an ALLOWed call: a released reservation, a halted connector."""
        if receipt.status == SUCCESS:
            return
        if receipt.status in RELEASING:
            self.ledger.release(decision.budget_reservation)
        if receipt.status == Status.NOT_DISPATCHED and decision.approval_id:
            self.approvals.give_back(decision.approval_id)
        if receipt.status == Status.FAILED and receipt.reason_code == ReasonCode.ERR_CONNECTOR_CONTRACT_DRIFT:
            self.halted[connector] = f"{receipt.decision_id}: its output for {decision.tool} broke the pinned schema"

    def note_trust(self, event: TrustEvent) -> None:
        """Remember what a change of the keys ends: whatever a revoked key gave."""
        if event.kind == EventKind.KEY_REVOKED:
            self.delegations.end_all_of(event.key_id)

    def resume(self, connector: str, halt: str) -> None:
        """Lift the very halt that an operator looked at: a drift that became known meanwhile stays in force.

        Raises KeyError where the connector is not halted at all.
        """
        if self.halted[connector] == halt:
            del self.halted[connector]
