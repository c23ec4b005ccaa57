"""Reading a whole log again: every node, link, seal and signature, and the state that comes of it.

What the numbers in `Refold.take` mean:

1. the node hashes to its name, takes the next tick and stands on what came before (ProofGraph)
2. trust events are signed by who may sign them, from the pinned genesis on (T8)
3. decisions and records hash to their names, and the record is the decision's
4. a receipt is signed by a key that counted then, and follows the one before it in its session (T5, T6)
5. a receipt and its node tell the same story: same decision, record, verdict; an intent has one outcome at most
6. control events follow: kernel epochs rise by one, freeze commands are signed and in sequence
"""

from __future__ import annotations

from typing import Any

import attrs

from helm.contracts.decision import Decision
from helm.contracts.effect import Effect
from helm.contracts.errors import Invalid
from helm.contracts.form import Sealed
from helm.contracts.receipt import RECEIPT, Receipt
from helm.contracts.record import BoundaryRecord
from helm.contracts.verdict import Verdict
from helm.crypto import domains
from helm.crypto.canonical import record_bytes
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SignatureInvalid
from helm.crypto.hashing import hash_in
from helm.crypto.seals import seal_decision, seal_record
from helm.guardian.freezes import FreezeCommand, check_command
from helm.guardian.memory import Active, Memory
from helm.proofgraph.graph import Fold, Graph
from helm.proofgraph.node import Node, NodeKind
from helm.receipts.chain import SealedReceipt, SessionChains, name
from helm.receipts.policy import ReceiptRefused, check_receipt
from helm.trust.event import from_payload
from helm.trust.registry import Registry
from helm.wire import structure

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

    node: Node
    receipt: SealedReceipt | None = None
    record_id: str = ""
    idempotency_key: str = ""


@attrs.define
class Refold:
    """The state of a log, built from its entries alone and the pinned log_id."""

    log_id: str
    graph: Graph = attrs.field(factory=lambda: Graph(SHARD))
    chains: SessionChains = attrs.field(factory=SessionChains)
    memory: Memory = attrs.field(factory=Memory)
    registry: Registry | None = None
    kernel_epoch: int = 0
    open_intents: dict[str, OpenIntent] = attrs.field(factory=dict, repr=False)
    _fold: Fold = attrs.field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._fold = Fold(self.graph)

    def take(self, entry: dict[str, Any], where: str) -> Taken:
        """Verify the next entry and fold it in; raise Invalid naming `where` and what does not follow."""
        if type(entry) is not dict or entry.keys() != {"beside", "node"} or type(entry["beside"]) is not dict:
            raise Invalid("is not an entry of a node and what stands beside it", where)
        node = self._fold.take(entry["node"], where)  # 1
        payload, beside = entry["node"]["payload"], entry["beside"]
        match (node.kind, payload.get("type")):
            case (NodeKind.TRUST_EVENT, "TRUST_EVENT"):
                self._take_trust_event(payload, node, where)  # 2
            case (NodeKind.INTENT, "INTENT"):
                return self._take_intent(payload, node, where)
            case (NodeKind.ATTESTATION, "REFUSAL"):
                return self._take_refusal(payload, beside, node, where)
            case (NodeKind.EFFECT, "EFFECT"):
                return self._take_effect(payload, beside, node, where)
            case (NodeKind.ATTESTATION, str() as kind):
                self._take_control(kind, payload, node, where)
            case _:
                raise Invalid(f"a {node.kind} node with a payload of type {payload.get('type')!r}", where)
        return Taken(node=node)

    def _take_trust_event(self, payload: dict[str, Any], node: Node, where: str) -> None:
        event = from_payload(payload, where)
        if self.registry is None:
            self.registry = Registry.begin(event, self.log_id, node.lamport)
        else:
            self.registry.apply(event, node.lamport)

    def _take_intent(self, payload: dict[str, Any], node: Node, where: str) -> Taken:
        decision, record = self._sealed(payload, node, where)
        effect = structure(payload.get("effect"), Effect, where)
        if decision.content.verdict != Verdict.ALLOW:
            raise Invalid("an intent whose decision is not ALLOW", where)
        self.open_intents[node.node_hash] = OpenIntent(
            decision=decision, record=record, effect=effect, node_hash=node.node_hash
        )
        self.memory.note_decision(decision.content)
        return Taken(node=node, record_id=record.id)

    def _take_refusal(self, payload: dict[str, Any], beside: dict[str, Any], node: Node, where: str) -> Taken:
        decision, record = self._sealed(payload, node, where)
        if decision.content.verdict == Verdict.ALLOW:
            raise Invalid("a refusal whose decision is ALLOW", where)
        receipt = self._receipt(beside, payload, node, where)
        _check_story(receipt.content, decision, record, "", where)  # 5
        self.memory.note_decision(decision.content)
        return Taken(node=node, receipt=receipt, record_id=record.id)

    def _take_effect(self, payload: dict[str, Any], beside: dict[str, Any], node: Node, where: str) -> Taken:
        intent = self.open_intents.pop(str(payload.get("intent_node")), None)
        if intent is None:
            raise Invalid("an effect without an open intent: it has no permission, or a second outcome", where)
        receipt = self._receipt(beside, payload, node, where)
        _check_story(receipt.content, intent.decision, intent.record, intent.node_hash, where)  # 5
        self.memory.note_outcome(intent.decision.content, receipt.content, intent.effect.connector)
        return Taken(node=node, receipt=receipt, idempotency_key=intent.decision.content.idempotency_key)

    def _sealed(self, payload: dict[str, Any], node: Node, where: str) -> tuple[Sealed[Decision], Sealed[BoundaryRecord]]:
        decision = unseal_decision(payload.get("decision"), where)
        record = unseal_record(payload.get("record"), where)
        said = (decision.content.tenant, decision.content.session_id, decision.content.principal)
        if record.content.decision_id != decision.id or said != (node.tenant, node.session_id, node.principal):
            raise Invalid("node, record and decision are not about the same call", where)  # 3
        if decision.content.log_id != self.log_id:
            raise Invalid(f"the decision belongs to log {decision.content.log_id}", where)
        return decision, record

    def _receipt(self, beside: dict[str, Any], payload: dict[str, Any], node: Node, where: str) -> SealedReceipt:
        sealed = unseal_receipt(beside.get("receipt"), where)
        if sealed.receipt_hash != payload.get("receipt_hash"):
            raise Invalid("the receipt is not the one its node binds", where)
        self.check_signed(sealed, node.lamport, where)  # 4
        self.chains.extend(sealed.content, sealed.signature, where)
        return sealed

    def check_signed(self, sealed: SealedReceipt, lamport: int, where: str) -> None:
        """Raise Invalid unless an execution key that counted at `lamport` signed the receipt, for this log."""
        if self.registry is None or sealed.content.log_id != self.log_id:
            raise Invalid("the receipt belongs to another log, or to none", where)
        body = reread_unsigned(sealed)
        try:
            key = self.registry.require(sealed.content.key_id, KeyPurpose.EXECUTION, lamport)
            key.verify(domains.RECEIPT, record_bytes(body), sealed.signature)
        except SignatureInvalid as problem:
            raise Invalid(f"receipt {sealed.receipt_id}: {problem}", where, "it was edited or forged") from problem

    def _take_control(self, kind: str, payload: dict[str, Any], node: Node, where: str) -> None:
        memory, session = self.memory, (node.tenant, node.session_id)
        try:
            match kind:  # 6
                case "KERNEL_STARTED":
                    self._start(payload["kernel_epoch"], where)
                case "POLICY_ACTIVATED":
                    memory.active = Active(
                        scope=payload["scope"], epoch=payload["epoch"], policy_hash=payload["policy_hash"]
                    )
                case "SESSION_OPENED":
                    memory.sessions.bind(session, node.principal, payload["opened_at_ms"])
                case "SESSION_CLOSED":
                    memory.sessions.close(session)
                case "FREEZE":
                    self._freeze(payload, node, where)
                case "CONNECTOR_RESUMED":
                    del memory.halted[payload["connector"]]
                case "APPROVALS_EXPIRED":
                    for approval_id in payload["approval_ids"]:
                        memory.approvals.expire(approval_id)
                case _:
                    raise Invalid(f"an event of unknown type {kind!r}", where, "a newer HELM wrote this log: use it")
        except (KeyError, TypeError) as problem:
            raise Invalid(f"the {kind} event misses or names something that is not there: {problem}", where) from problem

    def _start(self, kernel_epoch: int, where: str) -> None:
        if kernel_epoch != self.kernel_epoch + 1:
            raise Invalid(f"kernel epoch {kernel_epoch} follows {self.kernel_epoch}", where, "two kernels wrote here")
        self.kernel_epoch = kernel_epoch

    def _freeze(self, payload: dict[str, Any], node: Node, where: str) -> None:
        command = structure(payload["command"], FreezeCommand, where)
        if self.registry is None or command.log_id != self.log_id:
            raise Invalid("the freeze command belongs to another log", where)
        key = self.registry.require(command.key_id, KeyPurpose.EMERGENCY, node.lamport)
        check_command(command, payload["signature"], key)
        self.memory.freezes.apply(command)


def _check_story(
    receipt: Receipt, decision: Sealed[Decision], record: Sealed[BoundaryRecord], intent_node: str, where: str
) -> None:
    decided = decision.content
    told = (
        (receipt.decision_id, decision.id),
        (receipt.decision_hash, decision.hash),
        (receipt.record_hash, record.hash),
        (receipt.intent_node, intent_node),
        (receipt.verdict, decided.verdict),
        (receipt.args_hash, decided.args_hash),
        (receipt.effect_id, decided.effect_id),
        (receipt.tenant, decided.tenant),
        (receipt.session_id, decided.session_id),
        (receipt.principal, decided.principal),
        (receipt.tool, decided.tool),
        (receipt.policy_hash, decided.policy_hash),
    )
    for said, is_so in told:
        if said != is_so:
            raise Invalid(f"the receipt says {said!r} where its decision says {is_so!r}", where)
    if intent_node == "" and receipt.reason_code != decided.reason_code:
        raise Invalid("the receipt refuses for another reason than the decision", where)
    try:
        check_receipt(receipt)
    except ReceiptRefused as problem:
        raise Invalid(str(problem), where) from problem


def unseal_decision(body: object, where: str) -> Sealed[Decision]:
    """Return the decision of a sealed object; raise Invalid unless it hashes to its name."""
    fields = _fields(body, ("decision_id",), where)
    decision = seal_decision(structure(fields, Decision, where))
    if decision.id != body["decision_id"]:  # type: ignore[index]
        raise Invalid("the decision does not hash to its decision_id", where, "it was edited")
    return decision


def unseal_record(body: object, where: str) -> Sealed[BoundaryRecord]:
    """Return the boundary record of a sealed object; raise Invalid unless it hashes to its record_hash."""
    fields = _fields(body, ("record_id", "record_hash"), where)
    record = seal_record(structure(fields, BoundaryRecord, where))
    if record.hash != body["record_hash"] or record.id != body["record_id"]:  # type: ignore[index]
        raise Invalid("the record does not hash to its record_hash", where, "it was edited")
    return record


def unseal_receipt(body: object, where: str) -> SealedReceipt:
    """Return the receipt of a signed object; raise Invalid unless it earns its receipt_id. No signature is checked."""
    fields = _fields(body, ("receipt_id", "signature"), where)
    receipt = structure(fields, Receipt, where)
    signed = record_bytes(body)  # type: ignore[arg-type]
    receipt_id, signature = body["receipt_id"], body["signature"]  # type: ignore[index]
    if receipt_id != name(fields) or type(signature) is not str:
        raise Invalid("the receipt does not hash to its receipt_id", where, "it was edited")
    return SealedReceipt(receipt, receipt_id, signature, hash_in(domains.RECEIPT_HASH, signed), signed)


def reread_unsigned(sealed: SealedReceipt) -> dict[str, Any]:
    """Return the members that the signature covers."""
    return RECEIPT.body(sealed.content) | {"receipt_id": sealed.receipt_id}


def _fields(body: object, seals: tuple[str, ...], where: str) -> dict[str, Any]:
    if type(body) is not dict or any(seal not in body for seal in seals):
        raise Invalid(f"is not an object sealed with {', '.join(seals)}", where)
    return {name: value for name, value in body.items() if name not in seals}
