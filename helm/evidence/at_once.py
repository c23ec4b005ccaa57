"""Records read at once: bytes in exactly the form that HELM writes, and hashing to the names they bear.

Each function answers None for anything else, without a word: whoever asked then reads it member by member, and finds
out what is wrong. So nothing is accepted here that is refused there, and what verifies, verifies quickly.
"""

from __future__ import annotations

from typing import Final

from helm.contracts.decision import Decision
from helm.contracts.effect import Effect
from helm.contracts.form import Noun, Sealed
from helm.contracts.receipt import Receipt
from helm.contracts.record import BoundaryRecord
from helm.crypto import domains
from helm.crypto.canonical import reader_of
from helm.crypto.hashing import PREFIX, content_id, hash_in
from helm.crypto.seals import decision_name
from helm.proofgraph.graph import SessionKey
from helm.receipts.chain import RECEIPT_ID, SealedReceipt

HASH_CHARS: Final = len(PREFIX) + 64

NODE_HASH_AT: Final = b',"node_hash":"'
PAYLOAD_AT: Final = b',"payload":'
PRINCIPAL_AT: Final = b',"principal":'
DECISION_AT: Final = b'{"decision":'
EFFECT_AT: Final = b',"effect":'
RECEIPT_HASH_AT: Final = b',"receipt_hash":"'
RECORD_AT: Final = b',"record":'
END_OF_INTENT: Final = b',"type":"INTENT"}'
END_OF_REFUSAL: Final = b',"type":"REFUSAL"}'

BEHIND_DECISION_ID: Final = b',"delegation_id":'
BEHIND_RECEIPT_ID: Final = b',"record_hash":'
BEHIND_RECORD_ID: Final = b',"sandbox_grant_hash":'
BEHIND_SIGNATURE: Final = b',"status":'
"""The members that follow the names of a sealed object: a name in another place is not in the one form."""


class Call(Noun, frozen=True):
    """The payload of a call's node, everything in it hashing to its name. `effect` is None for a refusal.

    What was sealed is without its bytes: they stand in the pack, and a pack may hold very many.
    """

    decision: Sealed[Decision]
    record: Sealed[BoundaryRecord]
    effect: Effect | None
    receipt_hash: str
    """Of the receipt that a refusal binds, "" for an intent."""


class NodeLine(Noun, frozen=True):
    """A node whose payload stands in a file of its own."""

    kind: str
    lamport: int
    node_hash: str
    parents: tuple[str, ...]
    principal: str
    session_id: str
    shard: str
    tenant: str

    @property
    def session(self) -> SessionKey:
        """The node's session, NO_SESSION for one of the control chain."""
        return (self.tenant, self.session_id)


class Line(Noun, frozen=True):
    """A line of the graph: its node, the payload where that stands in the line, and what is hashed around a payload."""

    node: NodeLine
    payload: bytes
    """Canonical only when whoever reads it has seen that; b"" where it stands in a file of its own."""
    before: bytes
    after: bytes

    def hash_with(self, payload: bytes) -> str:
        """Return the hash of the node with this payload."""
        return hash_in(domains.NODE, b"".join((self.before, payload, self.after)))


decision_in = reader_of(Decision)
effect_in = reader_of(Effect)
receipt_in = reader_of(Receipt)
record_in = reader_of(BoundaryRecord)
line_in = reader_of(NodeLine)


def read_line(raw: bytes) -> Line | None:
    """Return a line of the graph in canonical bytes, its payload aside. None where it is anything else."""
    head, payload_at, rest = raw.partition(PAYLOAD_AT)
    if payload_at:
        payload, _, whose = rest.rpartition(PRINCIPAL_AT)
    else:
        payload, (head, _, whose) = b"", raw.partition(PRINCIPAL_AT)
    node = line_in(b"".join((head, PRINCIPAL_AT, whose)))
    if node is None or (payload_at and not payload):
        return None
    start, _, rest = head.partition(NODE_HASH_AT)
    return Line(node, payload, b"".join((start, rest[HASH_CHARS + 1 :], PAYLOAD_AT)), PRINCIPAL_AT + whose)


def read_call(raw: bytes) -> Call | None:
    """Return the call of a payload in canonical bytes, None where it is anything else."""
    if raw.endswith(END_OF_INTENT):
        decided, _, rest = raw[len(DECISION_AT) : -len(END_OF_INTENT)].partition(EFFECT_AT)
        effect, _, recorded = rest.partition(RECORD_AT)
        again = (DECISION_AT, decided, EFFECT_AT, effect, RECORD_AT, recorded, END_OF_INTENT)
        return call_of(decided, effect, "", recorded) if b"".join(again) == raw else None
    if raw.endswith(END_OF_REFUSAL):
        decided, _, rest = raw[len(DECISION_AT) : -len(END_OF_REFUSAL)].partition(RECEIPT_HASH_AT)
        said, _, recorded = rest.partition(b'"' + RECORD_AT)
        as_is = b"".join((DECISION_AT, decided, RECEIPT_HASH_AT, said, b'"', RECORD_AT, recorded, END_OF_REFUSAL))
        if as_is == raw and said.startswith(PREFIX.encode()) and said[len(PREFIX) :].isalnum():
            return call_of(decided, b"", said.decode(), recorded)
    return None


def call_of(decided: bytes, effect: bytes, receipt_hash: str, recorded: bytes) -> Call | None:
    """Return the call of sealed objects in canonical bytes, None where one is not exactly what it is said to be."""
    decision, record = read_decision(decided), read_record(recorded)
    if decision is None or record is None:
        return None
    if not effect:
        return Call(decision, record, None, receipt_hash) if receipt_hash else None
    change = effect_in(effect)
    if change is None or content_id("eff_", hash_in(domains.EFFECT, effect)) != decision.content.effect_id:
        return None
    return Call(decision, record, change, receipt_hash)


def read_decision(raw: bytes) -> Sealed[Decision] | None:
    """Return the decision of a sealed object in canonical bytes, None where it is anything else."""
    head, _, rest = raw.partition(b',"decision_id":"')
    name, _, tail = rest.partition(b'"')
    said = head + tail
    decision = decision_in(said)
    if decision is None or not tail.startswith(BEHIND_DECISION_ID):
        return None
    full_hash = hash_in(domains.DECISION, said)
    decision_id = decision_name(full_hash)
    return Sealed(decision, decision_id, full_hash, b"") if name == decision_id.encode() else None


def read_record(raw: bytes) -> Sealed[BoundaryRecord] | None:
    """Return the boundary record of a sealed object in canonical bytes, None where it is anything else."""
    head, _, rest = raw.partition(b',"record_hash":"')
    named, _, rest = rest.partition(b'","record_id":"')
    name, _, tail = rest.partition(b'"')
    record = record_in(head + tail)
    if record is None or not tail.startswith(BEHIND_RECORD_ID):
        return None
    if name != b"rec_" + record.decision_id.removeprefix("dec_").encode():
        return None
    said = b'%b,"record_id":"%b"%b' % (head, name, tail)
    record_hash = hash_in(domains.RECORD, said)
    return Sealed(record, name.decode(), record_hash, b"") if named == record_hash.encode() else None


def read_receipt(raw: bytes) -> SealedReceipt | None:
    """Return the receipt of a signed object in canonical bytes, None for anything else. No signature is checked."""
    head, _, rest = raw.partition(b',"receipt_id":"')
    name, _, rest = rest.partition(b'"')
    middle, _, rest = rest.partition(b',"signature":"')
    signature, _, tail = rest.partition(b'"')
    if not (middle.startswith(BEHIND_RECEIPT_ID) and tail.startswith(BEHIND_SIGNATURE) and signature.isalnum()):
        return None
    said = b"".join((head, middle, tail))
    receipt = receipt_in(said)
    if receipt is None:
        return None
    receipt_id = content_id(RECEIPT_ID, hash_in(domains.RECEIPT_NAME, said))
    if name != receipt_id.encode():
        return None
    return SealedReceipt(receipt, receipt_id, signature.decode(), hash_in(domains.RECEIPT_HASH, raw), raw)
