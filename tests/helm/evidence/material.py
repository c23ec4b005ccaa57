"""A log written with the house's own pure functions: what a kernel would write, without a kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

import attrs

from helm.contracts.call import NO_CONTEXT, CallContext
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.contracts.receipt import RECEIPT_VERSION, Receipt
from helm.contracts.sandbox import NO_RUN, SandboxRun
from helm.contracts.verdict import Status, Verdict
from helm.crypto.canonical import fragment, record_bytes, reread
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SigningKey
from helm.crypto.hashing import digest, sha256
from helm.evidence.checkpoints import Occasion, checkpoint_of, payload_of, peaks_of, unseal_checkpoint
from helm.evidence.checkpoints import seal as seal_checkpoint
from helm.evidence.leaf import receipt_leaf
from helm.evidence.unseal import unseal_receipt
from helm.guardian.bundle import load_toml
from helm.guardian.bundle_signature import sign_policy
from helm.guardian.chain import CHAIN
from helm.guardian.freezes import FREEZE_COMMAND, FreezeCommand, sign_command
from helm.guardian.intake import Caller, Terms, admit
from helm.guardian.judgement import Judgement, intent_payload, refusal_payload
from helm.guardian.memory import Active, Boot, Memory
from helm.guardian.policy import Policy
from helm.proofgraph.checkpoint import SealedCheckpoint
from helm.proofgraph.graph import Graph
from helm.proofgraph.node import Draft, Node, NodeKind
from helm.proofgraph.trees import Trees
from helm.receipts.chain import SealedReceipt, SessionChains, seal
from helm.trust.event import (
    FIRST_PLACE,
    EventKind,
    KeyChange,
    TrustEvent,
    log_id_of,
    sign_event,
    to_payload,
)
from helm.trust.registry import Registry

START_MS: Final = 1_800_000_000_000
FINGERPRINT: Final = sha256(b"this machine")
TENANT: Final = "acme"

PURPOSES: Final = (
    KeyPurpose.TRUST_ADMIN,
    KeyPurpose.EXECUTION,
    KeyPurpose.POLICY,
    KeyPurpose.EVIDENCE,
    KeyPurpose.EMERGENCY,
)

POLICY: Final = """
version = "helm.policy/1"
scope = "tests"
epoch = {epoch}

[p0]
max_risk_tier = "T2"

[compliance]
allowed_data_classes = ["internal"]

[[budgets]]
id = "per-agent"
subject = "each-principal"
tool_call_limit = 100000
window_s = 3600

[connectors.notes]
kind = "local"

[tools."notes.read"]
connector = "notes"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
data_classes = ["internal"]
input = '''
{{"type": "object", "properties": {{"größe": {{"type": "number"}}, "name": {{"type": "string"}}}},
  "required": ["name"], "additionalProperties": false}}
'''
output = '{{"type": "object"}}'
[[tools."notes.read".requires]]
id = "short-names"
cel = "size(args.name) < 40"
reason = "a note's name is short"

[tools."notes.send"]
connector = "notes"
effect_type = "message"
risk_tier = "T2"
principals = ["*"]
data_classes = ["internal"]
input = '{{"type": "object"}}'
output = '{{"type": "object"}}'
approval = {{ required = true }}
"""


@cache
def policy_of(epoch: int = 1) -> Policy:
    """Return a small compiled policy."""
    return load_toml(POLICY.format(epoch=epoch), "tests policy")


def key_of(purpose: KeyPurpose, number: int = 1) -> SigningKey:
    """Return the key for a purpose: always the same one for the same number."""
    return SigningKey.from_seed(digest(f"{purpose} {number}".encode()), purpose)


def addition(signer: SigningKey) -> KeyChange:
    return KeyChange(
        kind=EventKind.KEY_ADDED.value,
        key_id=signer.key_id,
        public_key=signer.public_key,
        purpose=signer.purpose.value,
        reason="genesis",
    )


def trees_of(entries: list[dict[str, JSONValue]]) -> Trees:
    """Return the trees over these entries, made at once."""
    trees = Trees()
    for entry in entries:
        node, receipt = entry["node"], entry["beside"].get("receipt")
        session = (node["tenant"], node["session_id"])
        trees.note_node(session)
        if "record" in node["payload"]:
            trees.note_record(node["payload"]["record"]["record_hash"])
        if receipt is not None:
            leaf = receipt_leaf(unseal_receipt(receipt, "entry"))
            trees.note_receipt(session, leaf, receipt["lamport_clock"], receipt["signature"])
    return trees


def latest_of(entries: list[dict[str, JSONValue]]) -> SealedCheckpoint | None:
    """Return the last checkpoint among these entries."""
    payloads = [entry["node"]["payload"] for entry in entries if entry["node"]["kind"] == NodeKind.CHECKPOINT]
    return unseal_checkpoint(payloads[-1], "entry") if payloads else None


@attrs.define
class Log:
    """A log that grows by one event per method. `entries` is what its journal holds."""

    number: int = 1
    """Which installation's: logs of two numbers share no key."""
    graph: Graph = attrs.field(factory=lambda: Graph("0"))
    chains: SessionChains = attrs.field(factory=SessionChains)
    memory: Memory = attrs.field(factory=Memory)
    rows: list[bytes] = attrs.field(factory=list)
    log_id: str = ""
    registry: Registry | None = None
    pen: SigningKey | None = None
    epoch: int = 0
    now_ms: int = START_MS
    call_seq: int = 0
    context: CallContext = NO_CONTEXT
    """What the door knows of the calls to come."""
    run: SandboxRun = NO_RUN
    """What a sandbox left behind of the calls to come."""

    @property
    def entries(self) -> list[dict[str, JSONValue]]:
        """Return every entry, read afresh."""
        return [reread(row) for row in self.rows]

    def begin(self) -> Log:
        """Write the genesis and the first start, and put the policy in force."""
        admin = key_of(KeyPurpose.TRUST_ADMIN, self.number)
        self.trust(sign_event(addition(admin), FIRST_PLACE, START_MS, admin))
        for purpose in PURPOSES[1:]:
            self.add_key(addition(key_of(purpose, self.number)))
        self.pen = key_of(KeyPurpose.EXECUTION, self.number)
        self.start()
        self.activate(policy_of())
        return self

    def key(self, purpose: KeyPurpose) -> SigningKey:
        """Return this log's key for a purpose."""
        return key_of(purpose, self.number)

    def write(self, draft: Draft, beside: Mapping[str, Any] | None = None) -> Node:
        """Place a node and keep its entry."""
        node = self.graph.append(draft)
        self.rows.append(record_bytes({"beside": dict(beside or {}), "node": fragment(node.json)}))
        return node

    def attest(self, payload: dict[str, JSONValue], session: str = "", principal: str = "") -> Node:
        """Write an event of the kernel's own."""
        tenant = TENANT if session else ""
        written = record_bytes(payload)
        draft = Draft(
            kind=NodeKind.ATTESTATION, payload=written, tenant=tenant, session_id=session, principal=principal
        )
        return self.write(draft)

    def trust(self, event: TrustEvent) -> None:
        """Write a trust event."""
        node = self.write(Draft(kind=NodeKind.TRUST_EVENT, payload=to_payload(event)))
        if self.registry is None:
            self.log_id = log_id_of(event)
            self.registry = Registry.begin(event, self.log_id, node.lamport)
        else:
            self.registry.apply(event, node.lamport)

    def add_key(self, change: KeyChange) -> None:
        """Change the keys that count."""
        assert self.registry is not None
        self.trust(sign_event(change, self.registry.place, START_MS, self.key(KeyPurpose.TRUST_ADMIN)))

    def rotate(self, purpose: KeyPurpose, number: int) -> None:
        """Replace the key for a purpose, and sign receipts with the new one from here on."""
        new = key_of(purpose, self.number + 100 * number)
        rotation = attrs.evolve(
            addition(new), kind=EventKind.KEY_ROTATED.value, replaces=self.key(purpose).key_id, reason="its time came"
        )
        self.add_key(rotation)
        if purpose is KeyPurpose.EXECUTION:
            self.pen = new

    def start(self) -> None:
        """Start a kernel."""
        self.epoch += 1
        self.call_seq = 0
        self.attest(
            {
                "fingerprint": FINGERPRINT,
                "kernel_epoch": self.epoch,
                "started_at_ms": START_MS,
                "type": "KERNEL_STARTED",
            }
        )

    def activate(self, policy: Policy, signer: SigningKey | None = None) -> None:
        """Put a policy in force."""
        signed = sign_policy(policy, signer or self.key(KeyPurpose.POLICY))
        payload = {
            "activated_at_ms": START_MS,
            "epoch": policy.epoch,
            "key_id": signed.key_id,
            "p0_ceiling_hash": policy.p0_ceiling_hash,
            "policy_hash": policy.policy_hash,
            "scope": policy.scope,
            "signature": signed.signature,
            "type": "POLICY_ACTIVATED",
        }
        draft = Draft(kind=NodeKind.ATTESTATION, payload=record_bytes(payload))
        self.write(draft, {"bundle": fragment(policy.document)})
        self.memory.policy = policy
        self.memory.active = Active(scope=policy.scope, epoch=policy.epoch, policy_hash=policy.policy_hash)

    def freeze(self, action: str = "freeze") -> None:
        """Freeze everything, or lift it."""
        key = self.key(KeyPurpose.EMERGENCY)
        command = FreezeCommand(
            action=action,
            issued_at_ms=START_MS,
            key_id=key.key_id,
            log_id=self.log_id,
            reason="a drill",
            scope="global",
            sequence=self.memory.freezes.sequence + 1,
            target="",
        )
        self.memory.freezes.apply(command)
        body, signature = FREEZE_COMMAND.body(command), sign_command(command, key)
        self.attest({"command": body, "signature": signature, "type": "FREEZE"})

    def checkpoint(
        self,
        pen: SigningKey | None = None,
        forge: Callable[[SealedCheckpoint], SealedCheckpoint] = lambda sealed: sealed,
    ) -> SealedCheckpoint:
        """Write a checkpoint of everything so far, or what somebody makes of it."""
        pen = pen or self.pen
        assert pen is not None
        trees, before = trees_of(self.entries), latest_of(self.entries)
        occasion = Occasion(cause="demand", issued_at_ms=self.now_ms, key_id=pen.key_id, log_id=self.log_id)
        sealed = forge(seal_checkpoint(checkpoint_of(trees, self.graph, before, occasion), pen))
        draft = Draft(kind=NodeKind.CHECKPOINT, payload=payload_of(sealed))
        self.write(draft, {"peaks": fragment(peaks_of(trees))})
        return sealed

    def judge(self, session: str, tool: str, arguments: bytes | JSONValue, terms: Terms | None = None) -> Judgement:
        """Judge one call."""
        self.call_seq += 1
        self.now_ms += 7
        caller = Caller(tenant=TENANT, principal="agent-1", session_id=session, context=self.context)
        call = admit(caller, tool, arguments, terms or Terms())
        boot = Boot(fingerprint=FINGERPRINT, kernel_epoch=self.epoch, log_id=self.log_id)
        world = self.memory.world(
            call,
            boot,
            now_ms=self.now_ms,
            call_seq=self.call_seq,
            fingerprint=FINGERPRINT,
            conflict=False,
        )
        judgement = CHAIN.evaluate(call, world)
        self.memory.note_decision(judgement.decision.content)
        return judgement

    def intend(self, session: str, arguments: JSONValue, relies_on: tuple[str, ...] = ()) -> tuple[Judgement, Node]:
        """Write the intent of an allowed call."""
        judgement = self.judge(session, "notes.read", arguments)
        assert judgement.permit is not None, judgement.decision.content.reason
        return judgement, self.write_intent(judgement, relies_on)

    def write_intent(self, judgement: Judgement, relies_on: tuple[str, ...] = ()) -> Node:
        """Write the intent of a call that was judged."""
        draft = self.draft(judgement, NodeKind.INTENT, intent_payload(judgement)).but(relies_on=relies_on)
        return self.write(draft, {"facts": fragment(judgement.facts)})

    def end(
        self,
        judgement: Judgement,
        intent: Node,
        *,
        written_into: str = "",
        how: tuple[Status, ReasonCode, str] = (Status.SUCCESS, ReasonCode.NONE, ""),
    ) -> SealedReceipt:
        """Write the success of an intent, or another end, into its own session unless another is given."""
        status, code, reason = how
        output_hash = sha256(b"{}") if status is Status.SUCCESS else ""
        sealed = self.seal(judgement, status, code, intent.node_hash, output_hash)
        payload = record_bytes(
            {
                "intent_node": intent.node_hash,
                "reason": reason,
                "receipt_hash": sealed.receipt_hash,
                "type": "EFFECT",
            }
        )
        draft = self.draft(judgement, NodeKind.EFFECT, payload)
        draft = draft.but(relies_on=(intent.node_hash,), session_id=written_into or draft.session_id)
        self.write(draft, {"receipt": fragment(sealed.json)})
        return sealed

    def call(self, session: str, name: str = "monday", relies_on: tuple[str, ...] = ()) -> SealedReceipt:
        """Write an allowed call and its success."""
        judgement, intent = self.intend(session, {"name": name}, relies_on)
        return self.end(judgement, intent)

    def refuse(self, session: str, tool: str = "no.such", arguments: bytes | JSONValue = b"{}") -> SealedReceipt:
        """Write a refused call."""
        judgement = self.judge(session, tool, arguments)
        decision = judgement.decision.content
        assert decision.verdict != Verdict.ALLOW
        status = Status.ESCALATED if decision.verdict == Verdict.ESCALATE else Status.DENIED
        sealed = self.seal(judgement, status, ReasonCode(decision.reason_code), "", "")
        payload = refusal_payload(judgement, sealed.receipt_hash)
        beside = {"facts": fragment(judgement.facts), "receipt": fragment(sealed.json)}
        self.write(self.draft(judgement, NodeKind.ATTESTATION, payload), beside)
        return sealed

    def draft(self, judgement: Judgement, kind: NodeKind, payload: bytes) -> Draft:
        """Return the node of a call, without its place."""
        decision = judgement.decision.content
        return Draft(
            kind=kind,
            payload=payload,
            tenant=decision.tenant,
            session_id=decision.session_id,
            principal=decision.principal,
        )

    def seal(
        self, judgement: Judgement, status: Status, code: ReasonCode, intent_node: str, output_hash: str
    ) -> SealedReceipt:
        """Sign the receipt of a call, next in its session."""
        assert self.pen is not None
        decision = judgement.decision.content
        latest = self.chains.latest((decision.tenant, decision.session_id))
        receipt = Receipt(
            args_hash=decision.args_hash,
            decision_hash=judgement.decision.hash,
            decision_id=judgement.decision.id,
            door=decision.door,
            effect_id=decision.effect_id,
            fuel_used=self.run.fuel_used,
            idempotency_key=decision.idempotency_key,
            intent_node=intent_node,
            issued_at_ms=self.now_ms,
            key_id=self.pen.key_id,
            lamport_clock=latest.lamport_clock + 1,
            lease_id=self.run.lease_id,
            log_id=decision.log_id,
            module_hash=self.run.module_hash,
            output_hash=output_hash,
            policy_epoch=decision.policy_epoch,
            policy_hash=decision.policy_hash,
            prev_hash=latest.signature,
            principal=decision.principal,
            reason_code=code.value,
            record_hash=judgement.record.hash,
            risk_tier=decision.risk_tier,
            sandbox_grant_hash=decision.sandbox_grant_hash,
            sandbox_limits=self.run.limits,
            session_id=decision.session_id,
            status=status.value,
            tenant=decision.tenant,
            tool=decision.tool,
            transport=decision.transport,
            trap=self.run.trap,
            verdict=decision.verdict,
            version=RECEIPT_VERSION,
        )
        sealed = seal(receipt, self.pen)
        self.chains.extend(receipt, sealed.signature)
        return sealed
