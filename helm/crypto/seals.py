"""How a decision and a boundary record earn their names: each is the hash of what it says."""

from __future__ import annotations

from helm.contracts.decision import DECISION, Decision
from helm.contracts.form import Sealed
from helm.contracts.record import RECORD, BoundaryRecord
from helm.crypto import domains
from helm.crypto.canonical import record_bytes
from helm.crypto.hashing import content_id, hash_in


def decision_hash(content: Decision) -> str:
    """Return the full hash of a decision's content, HELM/Decision/v1."""
    return hash_in(domains.DECISION, record_bytes(DECISION.body(content)))


def decision_name(full_hash: str) -> str:
    """Return the decision_id that a decision of this hash bears."""
    return content_id("dec_", full_hash)


def seal_decision(content: Decision) -> Sealed[Decision]:
    """Name a decision by the hash of its content, HELM/Decision/v1."""
    body = DECISION.body(content)
    full_hash = hash_in(domains.DECISION, record_bytes(body))
    body["decision_id"] = decision_id = decision_name(full_hash)
    return Sealed(content, decision_id, full_hash, record_bytes(body))


def seal_record(content: BoundaryRecord) -> Sealed[BoundaryRecord]:
    """Name a record after the decision it records; its record_hash, HELM/Record/v1, covers every other member."""
    body = RECORD.body(content)
    body["record_id"] = record_id = "rec_" + content.decision_id.removeprefix("dec_")
    body["record_hash"] = record_hash = hash_in(domains.RECORD, record_bytes(body))
    return Sealed(content, record_id, record_hash, record_bytes(body))
