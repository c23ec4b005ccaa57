"""Checks of the calls themselves: what was decided, what became of it, and that nothing is missing."""

from __future__ import annotations

from helm.contracts.errors import Invalid
from helm.contracts.verdict import Verdict
from helm.crypto import domains
from helm.crypto.hashing import hash_in
from helm.evidence.check_graph import REFUSAL
from helm.evidence.inclusion import inclusion
from helm.evidence.layout import (
    FRONTIER,
    HEAD,
    MANIFEST,
    NODES,
    PROOFS,
    RECEIPTS,
    SCHEMAS,
    SCRIPT,
    SNAPSHOT,
    facts_path,
    policy_path,
    receipt_path,
    record_path,
    trust_path,
)
from helm.evidence.lines import read_json
from helm.evidence.part import Placed
from helm.evidence.reading import Reading, Told
from helm.evidence.signed import check_signed
from helm.evidence.story import check_record, check_story
from helm.evidence.unseal import unseal_decision, unseal_effect, unseal_receipt, unseal_record
from helm.proofgraph.node import NodeKind
from helm.receipts.chain import SessionChains

INTENT_MEMBERS = ["decision", "effect", "record", "type"]
REFUSAL_MEMBERS = ["decision", "receipt_hash", "record", "type"]
EFFECT_MEMBERS = ["intent_node", "reason", "receipt_hash", "type"]

CHANGED = "the pack was changed, or made from a log that was"


def check_seals(reading: Reading) -> None:
    """Decisions, records, effects and facts hash to what names them."""
    epochs = iter([*reading.epochs, (reading.manifest.cover.lamport + 1, 0)])
    epoch, (next_start, next_epoch) = 0, next(epochs)
    for node in reading.nodes:
        while node.lamport >= next_start:
            epoch, (next_start, next_epoch) = next_epoch, next(epochs)
        if node.kind == NodeKind.EFFECT:
            check_members(node, EFFECT_MEMBERS, "EFFECT")
            reading.outcomes.append(node)
        elif node.kind == NodeKind.INTENT:
            check_members(node, INTENT_MEMBERS, "INTENT")
            reading.calls.append(unseal_call(node, epoch, reading.members))
        elif node.payload.get("type") == REFUSAL:
            check_members(node, REFUSAL_MEMBERS, REFUSAL)
            reading.calls.append(unseal_call(node, epoch, reading.members))


def check_members(node: Placed, names: list[str], kind: str) -> None:
    """Raise Invalid unless the payload has exactly the members of its kind."""
    if [*node.payload] != names or node.payload["type"] != kind:
        raise Invalid(f"its payload is not that of a {kind}", node.where, CHANGED)


def unseal_call(node: Placed, kernel_epoch: int, members: dict[str, bytes]) -> Told:
    """Return the call of a node. Raises Invalid."""
    payload, where = node.payload, record_path(node.lamport)
    decision = unseal_decision(payload["decision"], where)
    record = unseal_record(payload["record"], where)
    if node.kind == NodeKind.INTENT:
        unseal_effect(payload["effect"], decision.content, where)
    facts = members.get(facts_path(node.lamport))
    if facts is not None and hash_in(domains.FACTS, facts) != decision.content.facts_hash:
        raise Invalid("are not the facts that the decision was made by", facts_path(node.lamport), CHANGED)
    return Told(node=node, decision=decision, record=record, kernel_epoch=kernel_epoch)


def check_receipts(reading: Reading) -> None:
    """Every receipt earns its id, is bound by one node, and signed by a key that counted at that node."""
    lamports = bound_receipts(reading)
    for path, raw in reading.members.items():
        if not path.startswith(RECEIPTS):
            continue
        sealed = unseal_receipt(read_json(raw, path), path)
        if path != receipt_path(sealed.content.lamport_clock, sealed.receipt_id):
            raise Invalid("does not stand where a receipt of its name and clock stands", path, CHANGED)
        if sealed.receipt_hash not in lamports:
            raise Invalid("is bound by no node: it is not of this log", path, CHANGED)
        check_signed(sealed, reading.registry, lamports[sealed.receipt_hash], path)
        reading.receipts[sealed.receipt_hash] = sealed
    check_pinned_key(reading)


def bound_receipts(reading: Reading) -> dict[str, int]:
    """Return the lamport of the one node that binds each receipt, by receipt_hash. Raises Invalid."""
    refusals = [told.node for told in reading.calls if told.node.kind != NodeKind.INTENT]
    lamports: dict[str, int] = {}
    for node in (*refusals, *reading.outcomes):
        receipt_hash = node.payload["receipt_hash"]
        if type(receipt_hash) is not str or receipt_hash in lamports:
            raise Invalid("binds a receipt that another node binds", node.where, CHANGED)
        lamports[receipt_hash] = node.lamport
    return lamports


def check_pinned_key(reading: Reading) -> None:
    """Raise Invalid where the caller pinned another execution key than signed, or one that signed nothing."""
    pinned = reading.root.execution_key
    if not pinned:
        return
    if not reading.receipts:
        raise Invalid("no receipt is there that the pinned key could vouch for", RECEIPTS, "pin the log_id")
    for sealed in reading.receipts.values():
        if reading.registry.keys[sealed.content.key_id].public_key.hex != pinned:
            hint = "ask whoever runs the log whether its key was rotated"
            raise Invalid(f"receipt {sealed.receipt_id} is not signed by the pinned key", RECEIPTS, hint)


def check_chain(reading: Reading) -> None:
    """The receipts are one dense chain from GENESIS on, each over the signature of the one before it."""
    chains = SessionChains()
    for number, sealed in enumerate(reading.receipts.values(), 1):
        where = receipt_path(sealed.content.lamport_clock, sealed.receipt_id)
        if (sealed.content.tenant, sealed.content.session_id) != session_of(reading):
            raise Invalid("is a receipt of another session", where, CHANGED)
        chains.extend(sealed.content, sealed.signature, where)
        if sealed.content.lamport_clock != number:
            raise Invalid("the chain is not dense", where, CHANGED)


def session_of(reading: Reading) -> tuple[str, str]:
    """Return the session that the pack is about."""
    cover = reading.manifest.cover
    return (cover.tenant, cover.session_id)


def check_stories(reading: Reading) -> None:
    """Node, decision, record and receipt of every call tell one story."""
    match_outcomes(reading)
    activated = reading.activated
    decided: set[str] = set()
    for told in reading.calls:
        decision, where = told.decision.content, record_path(told.node.lamport)
        check_decided(told, reading.log_id, where)
        check_record(told.record.content, told.decision, where)
        since = activated.get((decision.policy_hash, decision.policy_epoch))
        if decision.policy_hash and not 0 < (since or 0) < told.node.lamport:
            raise Invalid("decided under a policy that was not in force before", where, CHANGED)
        if told.decision.id in decided:
            raise Invalid("tells a decision a second time", where, CHANGED)
        decided.add(told.decision.id)
        if told.receipt is not None:
            check_story(told.receipt.content, told.decision, told.record, told.intent_node, where)


def match_outcomes(reading: Reading) -> None:
    """Give each call its outcome, and the receipts in the order of their nodes. Raises Invalid."""
    intents = {told.node.node_hash: told for told in reading.calls if told.node.kind == NodeKind.INTENT}
    for told in reading.calls:
        if told.node.kind != NodeKind.INTENT:
            give_outcome(told, told.node, reading)
    for node in reading.outcomes:
        intent = intents.get(str(node.payload["intent_node"]))
        if intent is None or intent.outcome is not None or intent.node.lamport >= node.lamport:
            what = "an effect without an open intent: no permission, or a second outcome"
            raise Invalid(what, node.where, CHANGED)
        give_outcome(intent, node, reading)


def give_outcome(told: Told, node: Placed, reading: Reading) -> None:
    """Join a call with the node that binds its receipt, and the receipt where it is there."""
    told.outcome = node
    told.receipt = reading.receipts.get(str(node.payload["receipt_hash"]))


def check_decided(told: Told, log_id: str, where: str) -> None:
    """Raise Invalid unless the decision is of this log, this kernel, and its node's session and kind."""
    decision, node = told.decision.content, told.node
    said = (decision.tenant, decision.session_id), decision.principal, decision.log_id
    if said != (node.session, node.principal, log_id):
        raise Invalid("node and decision are not about the same call", where, CHANGED)
    if (decision.verdict == Verdict.ALLOW) != (node.kind == NodeKind.INTENT):
        raise Invalid(f"a decision to {decision.verdict} in a node of kind {node.kind}", where, CHANGED)
    if decision.kernel_epoch != told.kernel_epoch:
        what = f"decided in kernel epoch {decision.kernel_epoch}, written in {told.kernel_epoch}"
        raise Invalid(what, where, CHANGED)


def check_complete(reading: Reading) -> None:
    """Every call has its receipt or is listed as open, every fact is there or listed, and nothing else is."""
    cover = reading.manifest.cover
    for told in reading.calls:
        if told.outcome is not None and told.receipt is None:
            raise Invalid("its receipt is not in the pack", record_path(told.node.lamport), CHANGED)
    open_intents = sorted(told.node.node_hash for told in reading.calls if told.outcome is None)
    if [*cover.open_intents] != open_intents:
        raise Invalid("the open intents are not those that the manifest lists", MANIFEST, CHANGED)
    facts = {facts_path(told.node.lamport) for told in reading.calls}
    if [*cover.redacted] != sorted(facts - reading.members.keys()):
        raise Invalid("facts are missing that the manifest does not list as redacted", MANIFEST, CHANGED)
    spare = reading.members.keys() - expected_paths(reading) - facts
    if spare:
        raise Invalid("has no place in this pack", min(spare), CHANGED)


def expected_paths(reading: Reading) -> set[str]:
    """Return every path that the content of this pack gives a reason for, facts aside."""
    expected = {MANIFEST, NODES, FRONTIER, SNAPSHOT, HEAD, PROOFS, SCRIPT}
    expected |= {path for path in reading.members if path.startswith((SCHEMAS, RECEIPTS))}
    expected |= {record_path(told.node.lamport) for told in reading.calls}
    expected |= {trust_path(node.lamport) for node in reading.nodes if node.kind == NodeKind.TRUST_EVENT}
    used = {told.decision.content.policy_hash for told in reading.calls}
    missing = {policy_path(policy_hash) for policy_hash in used if policy_hash} - reading.members.keys()
    if missing:
        raise Invalid("the policy that a decision was made under is not there", min(missing), CHANGED)
    return expected | {policy_path(policy_hash) for policy_hash in used if policy_hash}


def check_inclusion(reading: Reading) -> None:
    """The tree over the receipts has the root that the pack states, and every proof leads to it."""
    head, proofs = inclusion([*reading.receipts.values()])
    if reading.members.get(HEAD) != head:
        raise Invalid("is not the root over the receipts of the pack", HEAD, CHANGED)
    if reading.members.get(PROOFS) != proofs:
        raise Invalid("are not the proofs of the receipts of the pack", PROOFS, CHANGED)
