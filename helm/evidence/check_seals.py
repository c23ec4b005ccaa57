"""Check that everything sealed about a call hashes to what names it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from helm.contracts.errors import Invalid
from helm.contracts.form import Noun, Sealed
from helm.crypto import domains
from helm.crypto.hashing import hash_in
from helm.evidence import payloads
from helm.evidence.at_once import Call
from helm.evidence.layout import REFUSAL, facts_path, record_path
from helm.evidence.part import PartNode
from helm.evidence.payloads import check_payload
from helm.evidence.reading import CHANGED, Reading, Told
from helm.evidence.unseal import unseal_decision, unseal_effect, unseal_record
from helm.proofgraph.node import NodeKind

T = TypeVar("T", bound=Noun)


def check_seals(reading: Reading) -> None:
    """Decisions, records, effects and facts hash to what names them."""
    epochs = iter([*reading.epochs, (reading.manifest.cover.lamport + 1, 0)])
    epoch, (next_start, next_epoch) = 0, next(epochs)
    for node in reading.nodes:
        while node.lamport >= next_start:
            epoch, (next_start, next_epoch) = next_epoch, next(epochs)
        if node.kind == NodeKind.EFFECT:
            check_payload(node.payload, "EFFECT", payloads.OUTCOME, node.where)
            reading.outcomes.append(node)
        elif node.kind == NodeKind.INTENT:
            if node.call is None or node.call.effect is None:
                check_payload(node.payload, "INTENT", payloads.INTENT, node.where)
            reading.calls.append(unseal_call(node, epoch, reading.members))
        elif node.payload.get("type") == REFUSAL:
            if node.call is None:
                check_payload(node.payload, REFUSAL, payloads.REFUSAL, node.where)
            reading.calls.append(unseal_call(node, epoch, reading.members))


def unseal_call(node: PartNode, kernel_epoch: int, members: Mapping[str, bytes]) -> Told:
    """Return the call of a node. Raises Invalid."""
    call = node.call or call_in(node)
    facts = members.get(facts_path(node.lamport))
    if facts is not None and hash_in(domains.FACTS, facts) != call.decision.content.facts_hash:
        raise Invalid("are not the facts that the decision was made by", facts_path(node.lamport), CHANGED)
    return Told(node=node, decision=call.decision, record=call.record, kernel_epoch=kernel_epoch)


def call_in(node: PartNode) -> Call:
    """Return the call of a payload, read member by member. Raises Invalid."""
    payload, where = node.payload, record_path(node.lamport)
    decision = without_bytes(unseal_decision(payload["decision"], where))
    record = without_bytes(unseal_record(payload["record"], where))
    effect = unseal_effect(payload["effect"], decision.content, where) if node.kind == NodeKind.INTENT else None
    return Call(decision, record, effect, payload.get("receipt_hash", ""))


def without_bytes(sealed: Sealed[T]) -> Sealed[T]:
    """Return what was sealed, and its names: its bytes stand in the pack."""
    return Sealed(sealed.content, sealed.id, sealed.hash, b"")
