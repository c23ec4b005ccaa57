"""The guardian's chain: the ordered roster of offices, each of which may end the evaluation; first refusal wins.

Nothing in the roster is optional. An office that raises anything but Refused has failed, and its failure is a DENY.
"""

from __future__ import annotations

from typing import Final

import attrs

from helm.contracts.call import ToolCall
from helm.contracts.decision import ALLOW, DENY, ESCALATE
from helm.contracts.errors import Refused
from helm.contracts.reason import ESCALATING, ReasonCode
from helm.crypto import domains
from helm.crypto.canonical import record_bytes
from helm.crypto.hashing import hash_in
from helm.guardian.gates import context, delegation, egress, freeze, identity, threat
from helm.guardian.inquiry import Inquiry, Office
from helm.guardian.judgement import Finding, Judgement, judge
from helm.guardian.offices import authz, budget, compliance, effect, pdp, pep, prg, temporal
from helm.guardian.points import Question
from helm.guardian.world import World

GATES: Final[tuple[Office, ...]] = (
    freeze.GATE,
    context.GATE,
    identity.GATE,
    egress.GATE,
    threat.GATE,
    delegation.GATE,
)
"""Gates 0 to 5, as the seeds order them."""

ROSTER: Final[tuple[Office, ...]] = (
    *GATES,
    effect.OFFICE,
    temporal.OFFICE,
    compliance.OFFICE,
    pep.OFFICE,
    authz.OFFICE,
    prg.OFFICE,
    pdp.OFFICE,
    budget.OFFICE,
)


MAX_REASON = 1000
"""Characters of a refusal's reason: it may repeat what the caller wrote, and stands in decision and record (T4)."""


NO_REASON = ReasonCode.NONE.value


@attrs.frozen
class Chain:
    """A roster and its hash, which stands in every decision it takes."""

    roster: tuple[Office, ...]
    roster_hash: str = attrs.field(init=False)

    @roster_hash.default
    def _hash(self) -> str:
        return hash_in(domains.GATES, record_bytes({"roster": [office.name for office in self.roster]}))

    def evaluate(self, call: ToolCall, world: World) -> Judgement:
        """Judge `call` in `world`. Deterministic and total: every call gets exactly one verdict."""
        inquiry = Inquiry(call, world, world.policy.rule(call.tool))
        return judge(inquiry, self.find(inquiry), self.roster_hash)

    def question(self, call: ToolCall, world: World) -> Question | None:
        """Return what must be asked of a remote decision point before `call` can be judged, None for nothing.

        Nothing is asked of a call that any office before it refuses.
        """
        inquiry = Inquiry(call, world, world.policy.rule(call.tool))
        self.find(inquiry)
        return inquiry.question

    def find(self, inquiry: Inquiry) -> Finding:
        """Return how far the roster came, and its answer; nothing is sealed."""
        office = self.roster[0]
        try:
            for office in self.roster:
                office.check(inquiry)
        except Refused as refusal:
            verdict = ESCALATE if refusal.code in ESCALATING else DENY
            return Finding(verdict, str(refusal.code), refusal.reason[:MAX_REASON], self.roster.index(office))
        except Exception as failure:
            reason = f"the {office.name} check could not be made: {type(failure).__name__}"
            return Finding(DENY, str(office.fails_as), reason, self.roster.index(office))
        return Finding(ALLOW, NO_REASON, "", len(self.roster))


CHAIN: Final = Chain(ROSTER)
