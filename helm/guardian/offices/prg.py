"""PRG: every requirement the policy puts on the tool must hold, each a CEL expression compiled at load."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from helm.contracts.errors import Refused
from helm.contracts.reason import ReasonCode
from helm.guardian.cel import CelError, converted
from helm.guardian.cel_variables import cel_variables
from helm.guardian.inquiry import Inquiry, Office


def check(inquiry: Inquiry) -> None:
    """Refuse at the first requirement that does not hold, or that cannot be evaluated."""
    requirements = inquiry.rule.requirements
    if not requirements:
        return
    for place, holds in enumerate(answers(inquiry)):
        if not holds:
            requirement = requirements[place]
            raise Refused(ReasonCode.MISSING_REQUIREMENT, f"requirement {requirement.id}: {requirement.reason}")


def answers(inquiry: Inquiry) -> Iterable[bool]:
    """Return whether each requirement holds. The engine is asked, unless all of them are plain, and so is the call."""
    plain = inquiry.rule.plain_requirements
    if plain:
        try:
            return [holds(inquiry) for holds in plain]
        except ValueError:
            pass
    return asked(inquiry)


def asked(inquiry: Inquiry) -> Iterator[bool]:
    """Yield whether each requirement holds, as the engine says. Raises Refused where it cannot."""
    facts, needs = None, inquiry.rule.requirement_needs
    for requirement in inquiry.rule.requirements:
        try:
            if facts is None:
                facts = converted(needs, cel_variables(inquiry, needs))
            holds = requirement.program.holds_of(facts)
        except CelError as problem:
            raise Refused(ReasonCode.PRG_EVALUATION_ERROR, f"requirement {requirement.id}: {problem}") from problem
        yield holds


OFFICE = Office("prg", check, ReasonCode.PRG_EVALUATION_ERROR)
