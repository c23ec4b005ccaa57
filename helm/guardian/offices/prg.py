"""PRG: every requirement the policy puts on the tool must hold, each a CEL expression compiled at load."""

from __future__ import annotations

from typing import Any

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.cel import CelError, converted
from helm.guardian.inquiry import Inquiry, Office


def check(inquiry: Inquiry) -> None:
    """Refuse at the first requirement that does not hold, or that cannot be evaluated."""
    requirements = inquiry.rule.requirements
    if not requirements:
        return
    facts = None
    for requirement in requirements:
        try:
            if facts is None:
                facts = converted(inquiry.rule.requirement_needs, cel_variables(inquiry))
            holds = requirement.program.holds_of(facts)
        except CelError as problem:
            raise Refused(ReasonCode.PRG_EVALUATION_ERROR, f"requirement {requirement.id}: {problem}") from problem
        if not holds:
            raise Refused(ReasonCode.MISSING_REQUIREMENT, f"requirement {requirement.id}: {requirement.reason}")


def cel_variables(inquiry: Inquiry) -> dict[str, Any]:
    """Return what an expression may speak of, by name."""
    call, rule = inquiry.call, inquiry.rule
    return {
        "args": call.parsed,
        "tool": call.tool,
        "principal": call.principal,
        "tenant": call.tenant,
        "session": call.session_id,
        "now_ms": inquiry.world.now_ms,
        "destination": inquiry.destination,
        "labels": [*call.context.labels, *inquiry.world.session_labels],
        "effect_type": rule.effect_type,
        "risk_tier": rule.risk_tier,
    }


OFFICE = Office("prg", check, ReasonCode.PRG_EVALUATION_ERROR)
