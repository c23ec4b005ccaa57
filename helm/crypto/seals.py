"""How a decision and a boundary record earn their names: each is the hash of what it says."""

from __future__ import annotations

from helm.contracts.decision import Decision
from helm.contracts.form import Sealed
from helm.contracts.record import BoundaryRecord
from helm.crypto import domains
from helm.crypto.canonical import insert_member, ordered_bytes
from helm.crypto.hashing import content_id, hash_in


def seal_decision(content: Decision) -> Sealed[Decision]:
    """Name a decision by the hash of its content, HELM/Decision/v1."""
    said = ordered_bytes(content)
    full_hash = hash_in(domains.DECISION, said)
    decision_id = decision_name(full_hash)
    member = f',"decision_id":"{decision_id}"'.encode()
    return Sealed(content, decision_id, full_hash, insert_member(said, member, b',"delegation_id":'), said)


def decision_name(full_hash: str) -> str:
    """Return the decision_id that a decision of this hash bears."""
    return content_id("dec_", full_hash)


def seal_record(content: BoundaryRecord) -> Sealed[BoundaryRecord]:
    """Name a record after the decision it records; its record_hash, HELM/Record/v1, covers every other member."""
    record_id = "rec_" + content.decision_id.removeprefix("dec_")
    member = f',"record_id":"{record_id}"'.encode()
    said = insert_member(ordered_bytes(content), member, b',"sandbox_grant_hash":')
    record_hash = hash_in(domains.RECORD, said)
    json = insert_member(said, f',"record_hash":"{record_hash}"'.encode(), b',"record_id":')
    return Sealed(content, record_id, record_hash, json)
