"""PRG: every requirement the policy puts on the tool must hold, each a CEL expression compiled at load."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.cel import CelError, converted
from helm.guardian.cel_grammar import Needs
from helm.guardian.inquiry import Inquiry, Office


def check(inquiry: Inquiry) -> None:
    """Refuse at the first requirement that does not hold, or that cannot be evaluated."""
    requirements = inquiry.rule.requirements
    if not requirements:
        return
    facts, needs = None, inquiry.rule.requirement_needs
    for requirement in requirements:
        try:
            if facts is None:
                facts = converted(needs, cel_variables(inquiry, needs))
            holds = requirement.program.holds_of(facts)
        except CelError as problem:
            raise Refused(ReasonCode.PRG_EVALUATION_ERROR, f"requirement {requirement.id}: {problem}") from problem
        if not holds:
            raise Refused(ReasonCode.MISSING_REQUIREMENT, f"requirement {requirement.id}: {requirement.reason}")


VARIABLES: Final[Mapping[str, Callable[[Inquiry], Any]]] = MappingProxyType(
    {
        "args": lambda inquiry: inquiry.call.parsed,
        "tool": lambda inquiry: inquiry.call.tool,
        "principal": lambda inquiry: inquiry.call.principal,
        "tenant": lambda inquiry: inquiry.call.tenant,
        "session": lambda inquiry: inquiry.call.session_id,
        "now_ms": lambda inquiry: inquiry.world.now_ms,
        "destination": lambda inquiry: inquiry.destination,
        "labels": lambda inquiry: [*inquiry.call.context.labels, *inquiry.world.session_labels],
        "effect_type": lambda inquiry: inquiry.rule.effect_type,
        "risk_tier": lambda inquiry: inquiry.rule.stated_tier,
    }
)
"""What an expression may speak of, by name."""


def cel_variables(inquiry: Inquiry, needs: Needs) -> dict[str, Any]:
    """Return what the expressions speak of, by name: the rest is not even looked up."""
    return {name: VARIABLES[name](inquiry) for name in needs.variables}


OFFICE = Office("prg", check, ReasonCode.PRG_EVALUATION_ERROR)
