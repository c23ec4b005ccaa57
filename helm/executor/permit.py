"""The last lock before the world: an ALLOW is dispatched exactly as it was judged, or not at all (T1, T6)."""

from __future__ import annotations

from helm.contracts.decision import Decision
from helm.contracts.effect import Permit
from helm.contracts.errors import Refused
from helm.contracts.form import Sealed
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Verdict
from helm.crypto import domains
from helm.crypto.hashing import hash_in, sha256
from helm.crypto.seals import decision_name


def check_permit(
    permit: Permit, decision: Sealed[Decision], arguments: bytes, *, now_ms: int, policy_hash: str, halted: str
) -> None:
    """Raise Refused unless all of it still holds at `now_ms`; a refusal here is NOT_DISPATCHED.

    1. the decision recomputes to its hash and id; 2. it is the permit's, and an ALLOW; 3. the permit has not expired;
    4. the policy is still the one it was judged under; 5. the bytes to be sent are the bytes that were judged;
    6. tool and effect are the permit's; 7. the connector was not halted meanwhile.
    """
    decided = decision.content
    full_hash = hash_in(domains.DECISION, decision.hashed)  # 1
    if full_hash != decision.hash or decision_name(full_hash) != decision.id:
        raise Refused(ReasonCode.PROVENANCE_FAILURE, "the decision does not hash to its name")
    if permit.decision_hash != full_hash or permit.decision_id != decision.id or decided.verdict != Verdict.ALLOW:  # 2
        raise Refused(ReasonCode.PROVENANCE_FAILURE, "the permit is not one of this decision")
    if now_ms >= permit.expires_at_ms:  # 3
        raise Refused(ReasonCode.POLICY_NOT_READY, "the permit expired before its dispatch")
    if permit.policy_hash != policy_hash:  # 4
        raise Refused(ReasonCode.POLICY_EPOCH_CHANGED, "another policy became active before the dispatch")
    if sha256(arguments) != permit.args_hash or permit.args_hash != decided.args_hash:  # 5
        raise Refused(ReasonCode.PROVENANCE_FAILURE, "the arguments are not the ones that were judged")
    if permit.tool != decided.tool or permit.effect_id != decided.effect_id:  # 6
        raise Refused(ReasonCode.PROVENANCE_FAILURE, "the permit is for another effect")
    if halted:  # 7
        raise Refused(ReasonCode.ERR_CONNECTOR_CONTRACT_DRIFT, f"the connector is halted: {halted}")
