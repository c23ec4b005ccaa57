"""What a verification of somebody else's claims found: numbered checks, and what may be believed afterwards.

Each check stands on the ones before it; the first that does not hold ends the verification.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, TypeVar

import attrs

from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.evidence.report import Outcome

T = TypeVar("T")
Checks = tuple[tuple[str, Callable[[T], None]], ...]
"""The checks of one kind of claim: a name each, and the first line of its docstring says what it makes sure of."""

NOTHING: Final[Mapping[str, JSONValue]] = MappingProxyType({})


@attrs.frozen(kw_only=True)
class Findings:
    """Every check in order, and what they established. Only `verified` says that it may be believed."""

    outcomes: tuple[Outcome, ...]
    about: Mapping[str, JSONValue] = NOTHING
    """What was established, empty unless every check held."""
    hint: str = ""

    @property
    def failed(self) -> Outcome | None:
        """The check that did not hold, None where all did."""
        return next((outcome for outcome in self.outcomes if not outcome.ok), None)

    @property
    def verified(self) -> bool:
        """Whether every check was made and held."""
        return bool(self.outcomes) and self.failed is None

    def body(self) -> dict[str, JSONValue]:
        """Return the findings as a JSON object."""
        return {
            "about": dict(self.about),
            "checks": [outcome.body() for outcome in self.outcomes],
            "hint": self.hint,
            "verified": self.verified,
        }


def examine(checks: Checks[T], subject: T, established: Callable[[T], Mapping[str, JSONValue]]) -> Findings:
    """Make the checks in order until one does not hold. Never raises for what is claimed."""
    for number, (_, check) in enumerate(checks, 1):
        try:
            check(subject)
        except Invalid as problem:
            return Findings(outcomes=outcomes(checks, number, f"{problem.where}: {problem.what}"), hint=problem.hint)
        except Malformed as problem:
            hint = "hand it over as its maker wrote it"
            return Findings(outcomes=outcomes(checks, number, str(problem)), hint=hint)
    return Findings(outcomes=outcomes(checks, len(checks) + 1, ""), about=established(subject))


def outcomes(checks: Checks[T], failed: int, why: str) -> tuple[Outcome, ...]:
    """Return one outcome per check: held before the failed one, not made behind it."""
    return tuple(
        Outcome(
            number=number,
            name=name,
            promise=promise_of(check),
            ok=number < failed,
            detail=why if number == failed else "not checked" if number > failed else "",
        )
        for number, (name, check) in enumerate(checks, 1)
    )


def promise_of(check: Callable[[T], None]) -> str:
    """Return what a check makes sure of, in one sentence."""
    return (check.__doc__ or "").partition("\n")[0].removesuffix(".")
