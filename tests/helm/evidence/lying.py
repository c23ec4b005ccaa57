"""A log in which everything is sealed and signed, and a call was decided otherwise than its policy says."""

from __future__ import annotations

from helm.crypto.seals import seal_decision, seal_record
from tests.helm.evidence.material import Log


def lying_log() -> Log:
    """Return a log whose second call was allowed although its policy says no, and is otherwise without a fault."""
    log = Log().begin()
    log.call("s1")
    refused = log.judge("s1", "notes.read", {"name": "z" * 99})
    allowed = log.judge("s1", "notes.read", {"name": "z"})
    lie = seal_decision(allowed.decision.content.but(facts_hash=refused.decision.content.facts_hash))
    record = seal_record(allowed.record.content.but(decision_id=lie.id))
    forged = allowed.but(decision=lie, record=record, facts=refused.facts)
    log.end(forged, log.write_intent(forged))
    return log
