"""Check that everything sealed about a call hashes to what names it."""

from __future__ import annotations

from typing import TypeVar

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue, Noun, Sealed
from helm.crypto import domains
from helm.crypto.hashing import hash_in
from helm.evidence import payloads
from helm.evidence.at_once import Call
from helm.evidence.layout import FACTS, REFUSAL
from helm.evidence.part import PartNode
from helm.evidence.payloads import check_payload
from helm.evidence.reading import CHANGED, Reading, Told
from helm.evidence.unseal import unseal_decision, unseal_effect, unseal_record
from helm.proofgraph.node import NodeKind

T = TypeVar("T", bound=Noun)


class Seals:
    """Decisions, records, effects and facts hash to what names them."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.facts = reading.lines(FACTS)

    def take(self, node: PartNode) -> None:
        """Check what was sealed about the call of the next node."""
        if node.kind == NodeKind.EFFECT:
            check_payload(node.payload, "EFFECT", payloads.OUTCOME, node.where)
        elif node.kind == NodeKind.INTENT:
            if node.call is None or node.call.effect is None:
                check_payload(node.payload, "INTENT", payloads.INTENT, node.where)
            self._take_call(node)
        elif node.is_refusal:
            if node.call is None:
                check_payload(node.payload, REFUSAL, payloads.REFUSAL, node.where)
            self._take_call(node)

    def _take_call(self, node: PartNode) -> None:
        reading, call = self.reading, node.call or call_in(node.payload, node.payload_at)
        facts = self.facts.take()
        if facts and hash_in(domains.FACTS, facts) != call.decision.content.facts_hash:
            raise Invalid("are not the facts that the decision was made by", self.facts.where, CHANGED)
        reading.counts.calls += 1
        reading.counts.redacted += not facts
        reading.told = Told(
            node=node,
            decision=call.decision,
            record=call.record,
            effect=call.effect,
            kernel_epoch=reading.control.kernel_epoch,
            has_facts=bool(facts),
        )
        if reading.keep:
            reading.calls.append(reading.told)

    def end(self) -> None:
        """Refuse facts of no call."""
        self.facts.check_end()


def call_in(payload: dict[str, JSONValue], where: str) -> Call:
    """Return the call of a payload, read member by member. Raises Invalid."""
    decision = without_bytes(unseal_decision(payload["decision"], where))
    record = without_bytes(unseal_record(payload["record"], where))
    effect = unseal_effect(payload["effect"], decision.content, where) if payload["type"] == "INTENT" else None
    return Call(decision, record, effect, payload.get("receipt_hash", ""))


def without_bytes(sealed: Sealed[T]) -> Sealed[T]:
    """Return what was sealed, and its names: its bytes stand in the pack."""
    return Sealed(sealed.content, sealed.id, sealed.hash, b"")
