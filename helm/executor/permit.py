"""The last lock before the world: an ALLOW is dispatched exactly as it was judged, or not at all (T1, T6)."""

from __future__ import annotations

from helm.contracts.decision import ALLOW, Decision
from helm.contracts.effect import Permit
from helm.contracts.errors import Refused
from helm.contracts.form import Noun, Sealed
from helm.contracts.reason import ReasonCode, why_halted
from helm.crypto import domains
from helm.crypto.hashing import hash_in, sha256
from helm.crypto.seals import decision_name


class Moment(Noun, frozen=True):
    """What the guardian knows when a permit is used; it may have changed since the permit was given."""

    now_ms: int
    policy_hash: str
    frozen: str
    """The reason code of the freeze that covers the caller by now, "" where none does."""
    halted: str
    """Why the connector is halted by now, "" while it is not."""


def check_permit(permit: Permit, decision: Sealed[Decision], arguments: bytes, moment: Moment) -> None:
    """Raise Refused unless all of it still holds at `moment`; a refusal here is NOT_DISPATCHED.

    1. the decision recomputes to its hash and id; 2. it is the permit's, and an ALLOW; 3. nobody has frozen the caller
    since; 4. the permit has not expired; 5. the policy is still the one it was judged under; 6. the bytes to be sent
    are the bytes that were judged; 7. tool and effect are the permit's; 8. the connector was not halted meanwhile.
    """
    decided = decision.content
    full_hash = hash_in(domains.DECISION, decision.hashed)  # 1
    if full_hash != decision.hash or decision_name(full_hash) != decision.id:
        raise Refused(ReasonCode.PROVENANCE_FAILURE, "the decision does not hash to its name")
    if permit.decision_hash != full_hash or permit.decision_id != decision.id or decided.verdict != ALLOW:  # 2
        raise Refused(ReasonCode.PROVENANCE_FAILURE, "the permit is not one of this decision")
    if moment.frozen:  # 3
        raise Refused(ReasonCode(moment.frozen), "a freeze came before the dispatch")
    if moment.now_ms >= permit.expires_at_ms:  # 4
        raise Refused(ReasonCode.POLICY_NOT_READY, "the permit expired before its dispatch")
    if permit.policy_hash != moment.policy_hash:  # 5
        raise Refused(ReasonCode.POLICY_EPOCH_CHANGED, "another policy became active before the dispatch")
    if sha256(arguments) != permit.args_hash or permit.args_hash != decided.args_hash:  # 6
        raise Refused(ReasonCode.PROVENANCE_FAILURE, "the arguments are not the ones that were judged")
    if permit.tool != decided.tool or permit.effect_id != decided.effect_id:  # 7
        raise Refused(ReasonCode.PROVENANCE_FAILURE, "the permit is for another effect")
    if moment.halted:  # 8
        raise Refused(why_halted(moment.halted), f"the connector is halted: {moment.halted}")
