"""The AIGP anchor: one call as a proof that carries itself, and four answers that each name the field they rest on.

It links the INTENT node of a call, every node that it stood on (the log's and the session's last, the approval: the
ATTESTATIONs are among them), and the EFFECT node that ended it; a refusal is an ATTESTATION itself and has neither of
the others. The signed receipt binds the decision, the record and the intent; each node binds the rest by its hash.
Whoever has the log's execution key checks all of that without the log. What no signature of the receipt reaches is told
by name (`UNSIGNED`): where an effect or a refusal stands in the log, and the words beside an effect.

1. shape     it has the members of an anchor, and no other
2. receipt   the receipt earns its id, and the execution key signed it
3. nodes     every node hashes to its name
4. links     receipt, decision, record and nodes are of one call
5. facts     what the call was judged by is what the decision says, where it is there
6. answers   each answer follows from the field that it names

| answer | it is yes where |
|---|---|
| stoppable | the freeze gate, the first of the roster, was asked before anything ran |
| owned | somebody authenticated answers for the call |
| replayable | the facts that it was judged by are here, and hash to what was signed |
| escalatable | a human was asked, or had agreed |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Final

import attrs

from helm.contracts.decision import Decision
from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue, Sealed
from helm.contracts.verdict import Verdict
from helm.crypto import domains
from helm.crypto.canonical import canonical, reread
from helm.crypto.ed25519 import PublicKey, SignatureInvalid
from helm.crypto.hashing import hash_in
from helm.evidence.layout import EVENTS, FACTS, NODES, RECEIPTS, RECORDS, REFUSAL
from helm.evidence.lines import split_lines
from helm.evidence.part import WHOLE
from helm.evidence.payloads import INTENT, OUTCOME, Shape
from helm.evidence.payloads import REFUSAL as REFUSED
from helm.evidence.reading import Reading, Told
from helm.evidence.shards import lines_of
from helm.evidence.signed import signed_bytes
from helm.evidence.unseal import unseal_decision, unseal_receipt, unseal_record
from helm.guardian.chain import CHAIN
from helm.proofgraph.node import NodeKind
from helm.receipts.chain import SealedReceipt

VERSION: Final = "helm.aigp-anchor/1"

MAX_STOOD_ON: Final = 64
"""Most nodes that a call may stand on in an anchor: its session's and the log's last, and its approval (T4)."""

MAX_BYTES: Final = 16 * 1024**2
"""Largest anchor that is looked at: a call's facts hold its arguments (T4)."""

EDITED: Final = "it was edited, or made of two calls"

UNSIGNED: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "attestation": ("/attestation/lamport", "/attestation/parents", "/attestation/shard", "/stood_on"),
        "intent": ("/effect/lamport", "/effect/parents", "/effect/payload/reason"),
    }
)
"""By what the call came to: what whoever made the anchor could have written, and only the log can prove (T5)."""

OF_ANCHOR: Final = Shape(
    {
        "answers": dict,
        "attestation": dict,
        "effect": dict,
        "facts": dict,
        "intent": dict,
        "receipt": dict,
        "stood_on": list,
        "version": str,
    }
)

Object = dict[str, JSONValue]


@attrs.define
class Anchoring:
    """The state of one check of an anchor."""

    body: Object = attrs.field(repr=False)
    key: PublicKey
    where: str
    receipt: SealedReceipt = attrs.field(init=False, repr=False)
    decision: Sealed[Decision] = attrs.field(init=False, repr=False)
    place: str = attrs.field(default="", init=False)
    """Where the decision stands in the anchor, as a JSON pointer."""

    @property
    def unsigned(self) -> tuple[str, ...]:
        """What the execution key says nothing of, as JSON pointers into the anchor."""
        return UNSIGNED["intent" if self.receipt.content.intent_node else "attestation"]


def check_anchor(body: Object, key: PublicKey, where: str) -> Anchoring:
    """Return an anchor once all of it holds under the execution key that the caller trusts. Raises Invalid."""
    found = Anchoring(body, key, where)
    for check in (check_shape, check_receipt, check_nodes, check_links, check_facts, check_answers):
        check(found)
    return found


def check_shape(found: Anchoring) -> None:
    """Raise Invalid unless it has the members of an anchor, and no other."""
    body = found.body
    if type(body) is not dict or sorted(body) != sorted(OF_ANCHOR.members):
        raise Invalid("has other members than an anchor", found.where, EDITED)
    for name, kind in OF_ANCHOR.members.items():
        if type(body[name]) is not kind:
            raise Invalid(f"its {name} are of another type", found.where, EDITED)
    if body["version"] != VERSION:
        raise Invalid(f"is of version {body['version']!r}, not {VERSION}", found.where, "use a HELM of its own age")
    if not all(type(one) is dict for one in body["stood_on"]) or len(body["stood_on"]) > MAX_STOOD_ON:
        raise Invalid("what it stood on are no nodes, or too many", found.where, EDITED)


def check_receipt(found: Anchoring) -> None:
    """Raise Invalid unless the receipt earns its id, and the execution key signed it."""
    where = f"{found.where} receipt"
    found.receipt = unseal_receipt(in_order(found.body["receipt"], where), where)
    try:
        found.key.verify(domains.RECEIPT, signed_bytes(found.receipt), found.receipt.signature)
    except (SignatureInvalid, ValueError) as problem:
        raise Invalid(f"receipt {found.receipt.receipt_id}: {problem}", where, EDITED) from problem


def nodes_of(body: Object) -> Iterator[tuple[str, Object]]:
    """Yield every node of an anchor and its place."""
    for name in ("attestation", "effect", "intent"):
        if body[name]:
            yield name, body[name]
    for number, node in enumerate(body["stood_on"]):
        yield f"stood_on/{number}", node


def check_nodes(found: Anchoring) -> None:
    """Raise Invalid unless every node hashes to its name."""
    for place, node in nodes_of(found.body):
        where = f"{found.where} {place}"
        ordered = in_order(node, where)
        WHOLE.check(ordered, where)
        rest = {name: value for name, value in ordered.items() if name != "node_hash"}
        if hash_in(domains.NODE, written(rest, where)) != node["node_hash"]:
            raise Invalid(f"does not hash to its name {node['node_hash']}", where, EDITED)


def check_links(found: Anchoring) -> None:
    """Raise Invalid unless receipt, decision, record and nodes are of one call."""
    body, receipt = found.body, found.receipt.content
    if receipt.intent_node:
        check_executed(found)
        name = "intent"
    else:
        check_refused(found)
        name = "attestation"
    call, found.place = body[name], f"/{name}/payload/decision"
    stood_on = [node["node_hash"] for node in body["stood_on"]]
    if stood_on != call["parents"] or not all(node["lamport"] < call["lamport"] for node in body["stood_on"]):
        raise Invalid("what it stood on is not what its node says", found.where, EDITED)
    for place, node in (("effect", body["effect"]), (name, call)):
        check_whose(found, node, f"{found.where} {place}")
    payload = in_order(call["payload"], found.where)
    found.decision = unseal_decision(payload["decision"], f"{found.where} decision")
    record = unseal_record(payload["record"], f"{found.where} record")
    said = (found.decision.hash, found.decision.id, record.hash)
    if said != (receipt.decision_hash, receipt.decision_id, receipt.record_hash):
        raise Invalid("decision and record are not those of the receipt", found.where, EDITED)


def check_whose(found: Anchoring, node: Object, where: str) -> None:
    """Raise Invalid unless a node is of whom the receipt is."""
    receipt = found.receipt.content
    whose = (receipt.tenant, receipt.session_id, receipt.principal)
    if node and (node["tenant"], node["session_id"], node["principal"]) != whose:
        raise Invalid("is of another tenant, session or principal than the receipt", where, EDITED)


def check_executed(found: Anchoring) -> None:
    """Raise Invalid unless the intent is the receipt's, stands on the attestations, and the effect ended it."""
    body, receipt = found.body, found.receipt
    intent, effect = body["intent"], body["effect"]
    if body["attestation"] or not intent or not effect or intent["node_hash"] != receipt.content.intent_node:
        raise Invalid("its intent is not the receipt's, or it has no effect", found.where, EDITED)
    INTENT.check(in_order(intent["payload"], found.where), f"{found.where} intent")
    OUTCOME.check(in_order(effect["payload"], found.where), f"{found.where} effect")
    kinds = (intent["kind"], effect["kind"])
    ended = (effect["payload"]["intent_node"], effect["payload"]["receipt_hash"])
    if kinds != (NodeKind.INTENT, NodeKind.EFFECT) or ended != (intent["node_hash"], receipt.receipt_hash):
        raise Invalid("its effect is not the end of its intent", found.where, EDITED)
    if intent["node_hash"] not in effect["parents"] or not intent["lamport"] < effect["lamport"]:
        raise Invalid("its effect does not stand on its intent", found.where, EDITED)
    if effect["shard"] != intent["shard"]:
        raise Invalid("its effect is of another shard than its intent", found.where, EDITED)


def check_refused(found: Anchoring) -> None:
    """Raise Invalid unless the one attestation is the refusal that the receipt is of."""
    body, node = found.body, found.body["attestation"]
    if body["intent"] or body["effect"] or not node:
        raise Invalid("a refusal is one attestation, and nothing else", found.where, EDITED)
    REFUSED.check(in_order(node["payload"], found.where), f"{found.where} attestation")
    said = (node["kind"], node["payload"]["type"], node["payload"]["receipt_hash"])
    if said != (NodeKind.ATTESTATION, REFUSAL, found.receipt.receipt_hash):
        raise Invalid("its attestation is not the refusal of its receipt", found.where, EDITED)


def check_facts(found: Anchoring) -> None:
    """Raise Invalid unless what the call was judged by is what the decision says, where it is there."""
    facts = found.body["facts"]
    if facts and hash_in(domains.FACTS, written(facts, found.where)) != found.decision.content.facts_hash:
        raise Invalid("its facts are not those that the call was judged by", found.where, EDITED)


def check_answers(found: Anchoring) -> None:
    """Raise Invalid unless each answer follows from the field that it names."""
    right = answers(found.decision.content, found.place, has_facts=bool(found.body["facts"]))
    if found.body["answers"] != right:
        wrong = sorted(name for name in right if found.body["answers"].get(name) != right[name])
        what = f"does not follow: {wrong[0]}" if wrong else "answers what nobody asked"
        raise Invalid(what, f"{found.where} answers", EDITED)


def answers(decision: Decision, place: str, *, has_facts: bool) -> Object:
    """Return the four answers about a call, each with the place of the field that proves it and what stands there."""
    gates = decision.gate_results
    asked = bool(gates) and decision.gate_roster_hash == CHAIN.roster_hash
    field = "approval_quorum" if decision.verdict == Verdict.ESCALATE else "approval_id"
    agreed = bool(decision.approval_id) and decision.verdict != Verdict.DENY  # a DENY may name one that it refused
    return {
        "escalatable": told(agreed, f"{place}/{field}", asked_of(decision)),
        "owned": told(bool(decision.principal), f"{place}/principal", decision.principal),
        "replayable": told(has_facts, f"{place}/facts_hash", decision.facts_hash),
        "stoppable": told(asked, f"{place}/gate_results/0", gates[0] if gates else ""),
    }


def asked_of(decision: Decision) -> JSONValue:
    """Return what the decision says of humans: how many must agree, or what they had agreed to."""
    return decision.approval_quorum if decision.verdict == Verdict.ESCALATE else decision.approval_id


def told(answer: bool, field: str, value: JSONValue) -> Object:
    """Return one answer."""
    return {"answer": answer, "field": field, "value": value}


def anchor_of(reading: Reading, receipt_id: str) -> Object:
    """Return the anchor of one call of a pack in which every check has held. Raises Invalid for a call that it has not.

    Facts that were left out of the pack are left out of the anchor, and the answer says so.
    """
    call = find(reading, receipt_id)
    if call.receipt is None or call.outcome is None:
        raise Invalid(f"the receipt {receipt_id} was condensed", "pack", "make it whole first: helm evidence rehydrate")
    raw_facts, receipt = beside(reading, call)
    name, other = ("intent", "attestation") if call.intent_node else ("attestation", "intent")
    nodes = {node["node_hash"]: node for node in whole_nodes(reading.members)}
    own = nodes[call.node.node_hash]
    missing = [parent for parent in own["parents"] if parent not in nodes]
    if missing:
        raise Invalid(f"it stands on {missing[0]}, which is not in the pack", "pack", "export the whole log")
    body: Object = {
        "effect": nodes[call.outcome.node_hash] if call.intent_node else {},
        "facts": reread(raw_facts or b"{}"),
        "receipt": reread(receipt),
        "stood_on": [nodes[parent] for parent in own["parents"]],
        "version": VERSION,
        name: own,
        other: {},
    }
    place = f"/{name}/payload/decision"
    found = answers(call.decision.content, place, has_facts=bool(body["facts"]))
    return dict(sorted((body | {"answers": found}).items()))


def find(reading: Reading, receipt_id: str) -> Told:
    """Return the call of a receipt, or of a decision. Raises Invalid."""
    for call in reading.calls:
        names = {call.decision.id, call.receipt.receipt_id if call.receipt is not None else ""}
        if receipt_id in names:
            if call.outcome is None:
                raise Invalid(f"the call {receipt_id} is under way", "pack", "it has no outcome yet: export it later")
            return call
    raise Invalid(f"there is no call {receipt_id}", "pack", "`helm evidence graph` shows the calls of a pack")


def beside(reading: Reading, call: Told) -> tuple[bytes, bytes]:
    """Return the facts of a call, b"" where they were left out, and its receipt, as the lines of a pack have them."""
    number = next(at for at, one in enumerate(reading.calls) if one is call)
    facts = line_at(reading.members, FACTS, number)
    bound = [one.payload["receipt_hash"] for one in reading.nodes if one.kind == NodeKind.EFFECT or one.is_refusal]
    receipt_hash = "" if call.receipt is None else call.receipt.receipt_hash
    return facts, line_at(reading.members, RECEIPTS, bound.index(receipt_hash))


def line_at(members: Mapping[str, bytes], folder: str, number: int) -> bytes:
    """Return the line of a number, from 0 on, among those of a folder."""
    return next(line for at, line in enumerate(lines_of(members, folder)) if at == number)


def whole_nodes(members: Mapping[str, bytes]) -> Iterator[Object]:
    """Yield the nodes of a pack, each with its payload."""
    records, events = lines_of(members, RECORDS), split_lines(members[EVENTS], EVENTS)
    for line in lines_of(members, NODES):
        node = reread(line)
        if "payload" not in node:
            raw = next(events)[0] if node["kind"] == NodeKind.TRUST_EVENT else next(records)
            node = dict(sorted((node | {"payload": reread(raw)}).items()))
        yield node


def in_order(value: JSONValue, where: str) -> Object:
    """Return an object with all members in canonical order. Raises Invalid."""
    ordered: Object = reread(written(value, where))
    return ordered


def written(value: JSONValue, where: str) -> bytes:
    """Return the canonical bytes of a value. Raises Invalid for one that has none."""
    try:
        return canonical(value, max_bytes=MAX_BYTES)
    except Malformed as problem:
        raise Invalid(str(problem), where, EDITED) from problem
