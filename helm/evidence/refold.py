"""Reading a whole log again: every node, link, seal and signature, and the state that comes of it.

What the numbers in `Refold.take` mean:

1. the node hashes to its name, takes the next tick and stands on what came before (ProofGraph)
2. trust events are signed by who may sign them, from the pinned genesis on (T8)
3. decisions, records and effects hash to their names, and what stands beside a node to what the node says of it
4. a receipt is signed by a key that counted then, and follows the one before it in its session (T5, T6)
5. node, decision, record and receipt tell one story; an intent has one outcome at most
6. control events follow: kernel epochs rise by one, freeze commands are signed and in sequence, policies are signed
   and newer than the last, raises of P0 ceilings waited for their hour
7. a checkpoint is signed, follows the one before it, and states what the log below it comes to
8. what was allowed was judged under all that bound its caller then: the bundle, the ceilings and the overlays in force
"""

from __future__ import annotations

from typing import Any

import attrs

from helm.contracts.decision import Decision
from helm.contracts.effect import Effect
from helm.contracts.errors import Invalid, Refused
from helm.contracts.form import Sealed
from helm.contracts.record import BoundaryRecord
from helm.contracts.verdict import Verdict
from helm.crypto.canonical import ordered_bytes
from helm.crypto.domains import KeyPurpose
from helm.evidence.bearers import take_bearer
from helm.evidence.beside import check_facts, check_names, check_output
from helm.evidence.checkpoints import Checkpoints, check_covers, cosigned_in, peaks_of
from helm.evidence.control import (
    HOURS,
    OF_APPROVAL,
    OF_PRECEDENCE,
    SIGNED,
    Control,
    check_event,
)
from helm.evidence.leaf import receipt_leaf
from helm.evidence.payloads import OF_SESSION
from helm.evidence.policies import activation
from helm.evidence.precedence import follow
from helm.evidence.signed import check_signed
from helm.evidence.story import check_record, check_story
from helm.evidence.unseal import unseal_decision, unseal_effect, unseal_receipt, unseal_record
from helm.guardian.bundle_signature import check_signature, check_succession
from helm.guardian.memory import Active, Memory
from helm.proofgraph.checkpoint import SealedCheckpoint
from helm.proofgraph.graph import NO_SESSION, Fold, Graph, Placed
from helm.proofgraph.node import NodeKind
from helm.proofgraph.trees import Trees
from helm.receipts.chain import SealedReceipt, SessionChains
from helm.trust.event import from_payload
from helm.trust.registry import Registry

SHARD = "0"
"""One machine has one shard."""


@attrs.frozen(kw_only=True)
class OpenIntent:
    """An intent whose outcome is not known yet."""

    decision: Sealed[Decision]
    record: Sealed[BoundaryRecord]
    effect: Effect
    node_hash: str


@attrs.frozen(kw_only=True)
class Taken:
    """One verified entry: its node, and the receipt it carries, if any."""

    node: Placed
    receipt: SealedReceipt | None = None
    record_id: str = ""
    idempotency_key: str = ""
    checkpoint: SealedCheckpoint | None = None
    authz_snapshot_hash: str = ""


@attrs.define
class Refold:
    """The state of a log, built from its entries alone and the pinned log_id."""

    log_id: str
    graph: Graph = attrs.field(factory=lambda: Graph(SHARD))
    chains: SessionChains = attrs.field(factory=SessionChains)
    memory: Memory = attrs.field(factory=Memory)
    registry: Registry | None = None
    open_intents: dict[str, OpenIntent] = attrs.field(factory=dict, repr=False)
    trees: Trees = attrs.field(factory=Trees)
    checkpoints: Checkpoints = attrs.field(factory=Checkpoints)
    control: Control = attrs.field(init=False)
    _fold: Fold = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._fold = Fold(self.graph)
        memory = self.memory
        self.control = Control(memory.freezes, memory.servers, memory.delegations, memory.approvals, memory.relations)

    @property
    def kernel_epoch(self) -> int:
        """The epoch of the last kernel that started on this log."""
        return self.control.kernel_epoch

    def take(self, entry: dict[str, Any], where: str) -> Taken:
        """Verify the next entry and fold it in; raise Invalid naming `where` and what does not follow."""
        if type(entry) is not dict or entry.keys() != {"beside", "node"} or type(entry["beside"]) is not dict:
            raise Invalid("is not an entry of a node and what stands beside it", where)
        if type(entry["node"]) is dict and entry["node"].get("kind") == NodeKind.CHECKPOINT:
            return self._take_checkpoint(entry, where)
        node = self._fold.take(entry["node"], where)  # 1
        self.trees.note_node(node.session)
        payload, beside = entry["node"]["payload"], entry["beside"]
        if type(payload) is not dict:
            raise Invalid("is a node whose payload is no object", where)
        match (node.kind, payload.get("type")):
            case (NodeKind.TRUST_EVENT, "TRUST_EVENT"):
                self._take_trust_event(payload, node, where)  # 2
            case (NodeKind.INTENT, "INTENT"):
                return self._take_intent(payload, beside, node, where)
            case (NodeKind.ATTESTATION, "REFUSAL"):
                return self._take_refusal(payload, beside, node, where)
            case (NodeKind.EFFECT, "EFFECT"):
                return self._take_effect(payload, beside, node, where)
            case (NodeKind.ATTESTATION, _):
                self._take_control(entry, node, where)
            case _:
                raise Invalid(f"a {node.kind} node with a payload of type {payload.get('type')!r}", where)
        self._check_beside(payload, beside, where)
        return Taken(node=node)

    def _take_checkpoint(self, entry: dict[str, Any], where: str) -> Taken:
        below = attrs.evolve(self.graph)
        node = self._fold.take(entry["node"], where)  # 1
        if node.session != NO_SESSION:
            raise Invalid("a checkpoint in a session", where)
        sealed = self.checkpoints.take(entry["node"]["payload"], self.registry, node.lamport, node.shard, where)  # 7
        check_covers(sealed, self.trees, below, where)
        check_names(entry["beside"], {"peaks"}, where)
        if ordered_bytes(entry["beside"].get("peaks")) != peaks_of(self.trees):
            raise Invalid("the peaks beside a checkpoint are not those of its trees", where, "they were edited")
        return Taken(node=node, checkpoint=sealed)

    def _check_beside(self, payload: dict[str, Any], beside: dict[str, Any], where: str) -> None:
        match payload["type"]:
            case "POLICY_ACTIVATED":
                check_names(beside, {"bundle"}, where)
            case "OVERLAID":
                check_names(beside, {"overlays"}, where)
            case _:
                check_names(beside, set(), where)

    def _take_trust_event(self, payload: dict[str, Any], node: Placed, where: str) -> None:
        event = from_payload(payload, where)
        if self.registry is None:
            self.registry = Registry.begin(event, self.log_id, node.lamport)
        else:
            self.registry.apply(event, node.lamport)
            self.memory.note_trust(event)

    def _take_intent(self, payload: dict[str, Any], beside: dict[str, Any], node: Placed, where: str) -> Taken:
        check_names(beside, {"facts"}, where)
        decision, record = self._sealed(payload, beside, node, where)
        effect = unseal_effect(payload.get("effect"), decision.content, where)
        if decision.content.verdict != Verdict.ALLOW:
            raise Invalid("an intent whose decision is not ALLOW", where)
        self.trees.note_record(record.hash)
        self.open_intents[node.node_hash] = OpenIntent(
            decision=decision, record=record, effect=effect, node_hash=node.node_hash
        )
        self._check_relied(decision.content, node, where)
        if decision.content.policy_hash != self.memory.bound_by(decision.content):  # 8
            raise Invalid(
                "allowed under other layers of policy than those that bound its caller", where, "it was edited"
            )
        try:
            self.memory.note_decision(decision.content)
        except Invalid as problem:  # it relied on an approval that was none
            raise Invalid(problem.what, where, problem.hint) from problem
        return Taken(node=node, record_id=record.id, authz_snapshot_hash=decision.content.authz_snapshot_hash)

    def _check_relied(self, decision: Decision, node: Placed, where: str) -> None:
        """Raise Invalid unless an intent that relied on an approval stands on the node that granted it."""
        if decision.approval_id and self.memory.approvals.nodes.get(decision.approval_id) not in node.parents:
            raise Invalid(f"does not stand on what granted {decision.approval_id}", where, "it was not approved")
        self.checkpoints.check_relied(decision.approval_id, where)

    def _take_refusal(self, payload: dict[str, Any], beside: dict[str, Any], node: Placed, where: str) -> Taken:
        check_names(beside, {"facts", "receipt"}, where)
        decision, record = self._sealed(payload, beside, node, where)
        if decision.content.verdict == Verdict.ALLOW:
            raise Invalid("a refusal whose decision is ALLOW", where)
        receipt = self._receipt(beside, payload, node, where)
        check_story(receipt.content, decision, record, "", where)  # 5
        self.trees.note_record(record.hash)
        self.memory.note_decision(decision.content)
        self.memory.note_written(decision.content, record.id)
        seen = decision.content.authz_snapshot_hash
        return Taken(node=node, receipt=receipt, record_id=record.id, authz_snapshot_hash=seen)

    def _take_effect(self, payload: dict[str, Any], beside: dict[str, Any], node: Placed, where: str) -> Taken:
        intent = self.open_intents.pop(str(payload.get("intent_node")), None)
        if intent is None:
            raise Invalid("an effect without an open intent: no permission, or a second outcome", where)
        self._check_same_call(intent.decision.content, node, where)
        check_names(beside, {"output", "receipt"}, where)
        receipt = self._receipt(beside, payload, node, where)
        check_output(beside, receipt.content.output_hash, where)
        check_story(receipt.content, intent.decision, intent.record, intent.node_hash, where)  # 5
        self.memory.note_outcome(intent.decision.content, receipt.content, intent.effect.connector)
        return Taken(node=node, receipt=receipt, idempotency_key=intent.decision.content.idempotency_key)

    def _sealed(
        self, payload: dict[str, Any], beside: dict[str, Any], node: Placed, where: str
    ) -> tuple[Sealed[Decision], Sealed[BoundaryRecord]]:
        decision = unseal_decision(payload.get("decision"), where)
        record = unseal_record(payload.get("record"), where)
        self._check_same_call(decision.content, node, where)
        check_record(record.content, decision, where)  # 5
        check_facts(beside, decision.content.facts_hash, where)
        return decision, record

    def _check_same_call(self, decision: Decision, node: Placed, where: str) -> None:
        if (decision.tenant, decision.session_id, decision.principal) != (node.tenant, node.session_id, node.principal):
            raise Invalid("node and decision are not about the same call", where)  # 5
        if decision.log_id != self.log_id:
            raise Invalid(f"the decision belongs to log {decision.log_id}", where)

    def _receipt(self, beside: dict[str, Any], payload: dict[str, Any], node: Placed, where: str) -> SealedReceipt:
        sealed = unseal_receipt(beside.get("receipt"), where)
        if sealed.receipt_hash != payload.get("receipt_hash"):
            raise Invalid("the receipt is not the one its node binds", where)
        check_signed(sealed, self.registry, node.lamport, where)  # 4
        self.chains.extend(sealed.content, sealed.signature, where)
        self.trees.note_receipt(node.session, receipt_leaf(sealed), sealed.content.lamport_clock, sealed.signature)
        return sealed

    def _take_notice(self, payload: dict[str, Any], node: Placed, where: str) -> None:
        """Take what was seen of a server, said of a connector or a bearer key, or signed by a witness."""
        match payload["type"]:
            case "MCP_DRIFT":
                self.memory.servers.note_drift(payload["server_id"], payload["operation"], payload["listed"])
            case "CONNECTOR_RESUMED":
                self.memory.resume(payload["connector"], payload["lifted"])
            case "BEARER_KEY_ISSUED" | "BEARER_KEY_REVOKED":
                take_bearer(self.memory.bearers, payload, where)
            case "CHECKPOINT_COSIGNED":
                self.checkpoints.cosign(cosigned_in(payload, where), self.registry, node.lamport, where)
            case kind:
                raise Invalid(f"nothing is known of a {kind} event", where, "a newer HELM wrote this log: use it")

    def _take_control(self, entry: dict[str, Any], node: Placed, where: str) -> None:
        session, payload = (node.tenant, node.session_id), entry["node"]["payload"]
        try:
            match check_event(payload, in_session=session != NO_SESSION, where=where):  # 6
                case "KERNEL_STARTED":
                    self.control.start(payload, where)
                case kind if kind in OF_PRECEDENCE:
                    self._take_precedence(entry, node, where)
                case kind if kind in OF_APPROVAL:
                    self.control.approve(payload, self.registry, node, where)
                    self.checkpoints.note_approval(payload)
                case kind if kind in OF_SESSION:
                    self._take_of_session(kind, payload, node, where)
                case kind if kind in SIGNED:
                    self.control.obey(payload, self.registry, node.lamport, where)
                case kind if kind in HOURS:
                    self.control.pass_hours(payload)
                case _:
                    self._take_notice(payload, node, where)
        except KeyError as problem:
            raise Invalid(
                f"the {payload['type']} event names something that is not there: {problem}", where
            ) from problem

    def _take_of_session(self, kind: str, payload: dict[str, Any], node: Placed, where: str) -> None:
        memory, session = self.memory, (node.tenant, node.session_id)
        match kind:
            case "SESSION_OPENED":
                memory.sessions.bind(session, node.principal, payload["opened_at_ms"])
            case "SESSION_CLOSED":
                self._close(session, node.principal, payload["closed_at_ms"], where)
            case "EXCHANGE_BEGUN":
                began_at_ms = payload["began_at_ms"]
                memory.sessions.bind(session, node.principal, began_at_ms)
                memory.exchanges.begin(session, node.principal, began_at_ms, payload["reserved_microcents"])
            case "EXCHANGE_SETTLED":
                change = payload["change_microcents"]
                memory.exchanges.settle(session, node.principal, payload["began_at_ms"], change)
            case _:
                raise Invalid(f"nothing is known of a {kind} event", where, "a newer HELM wrote this log: use it")

    def _take_precedence(self, entry: dict[str, Any], node: Placed, where: str) -> None:
        """Take a bundle, signed changes of the overlays that narrow it, and raises of ceilings whose hour has come."""
        if self.registry is None:
            raise Invalid("a policy before any key that could vouch for it", where)
        payload, memory = entry["node"]["payload"], self.memory
        memory.precedence = follow(memory.precedence, entry, self.registry, node.lamport, where)
        if payload["type"] == "POLICY_ACTIVATED":
            self._activate(payload, self.registry, node, where)

    def _activate(self, payload: dict[str, Any], registry: Registry, node: Placed, where: str) -> None:
        """Take a policy's activation: no editor of the file puts an older policy in force, or bars every newer one."""
        signature, memory = activation(payload), self.memory
        key = registry.require(signature.key_id, KeyPurpose.POLICY, node.lamport)
        try:
            check_signature(signature, signature, key.hex)
            check_succession(memory.active, signature)
        except Refused as problem:
            raise Invalid(problem.reason, where, "the journal was changed: restore it from a backup") from problem
        memory.latest_ms = max(memory.latest_ms, payload["activated_at_ms"])
        memory.active = Active(scope=signature.scope, epoch=signature.epoch, policy_hash=signature.policy_hash)

    def _close(self, session: tuple[str, str], principal: str, closed_at_ms: int, where: str) -> None:
        binding = self.memory.sessions.find(session)
        if binding is not None and binding.principal != principal:
            raise Invalid(f"{principal} closes a session of {binding.principal}", where)
        self.memory.sessions.close(session, principal, closed_at_ms)
