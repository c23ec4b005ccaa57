"""What became of one vector in one run."""

from __future__ import annotations

from typing import Final

import attrs

from helm.conformance.judge import Check, Seen, failures, plain, rests_on_silence
from helm.conformance.vector import Vector
from helm.contracts.form import JSONValue

PASSED, FAILED, SKIPPED, UNOBSERVED = "passed", "failed", "skipped", "unobserved"
OUTCOMES: Final = (PASSED, FAILED, SKIPPED, UNOBSERVED)


@attrs.frozen(kw_only=True)
class Result:
    """One vector: `why` says what is wrong, what was missing, or why nobody can see it; "" where it passed."""

    vector: Vector
    outcome: str
    why: str = ""
    checks: tuple[Check, ...] = ()
    seen: Seen | None = None

    def body(self) -> dict[str, JSONValue]:
        """Return it as a JSON object of a report."""
        seen = self.seen
        observed: dict[str, JSONValue] | None = None
        if seen is not None:
            observed = {
                "deeds": seen.deeds,
                "http": seen.http,
                "reason_code": plain(seen.reason_code),
                "receipt_id": plain(seen.receipt_id),
                "record_hash": plain(str(seen.story["record"].get("record_hash", "")) if seen.story else ""),
                "status": plain(seen.status),
                "verdict": plain(seen.verdict),
            }
        return {
            "category": self.vector.category,
            "checks": [check.body() for check in self.checks],
            "id": self.vector.id,
            "level": self.vector.level,
            "observed": observed,
            "outcome": self.outcome,
            "why": plain(self.why),
        }


def judged(vector: Vector, seen: Seen, checks: tuple[Check, ...]) -> Result:
    """Return what the checks of a vector come to."""
    wrong = "; ".join(failures(checks))
    return Result(vector=vector, outcome=FAILED if wrong else PASSED, why=wrong, checks=checks, seen=seen)


def unobserved(vector: Vector) -> Result:
    """Return the result of a vector that no stranger brings about: neither passed nor failed."""
    return Result(vector=vector, outcome=UNOBSERVED, why=f"{vector.inside}: {vector.proof} does it otherwise")


def is_silent(result: Result) -> bool:
    """Tell whether a passed result rests on the counterpart's silence."""
    return result.outcome == PASSED and rests_on_silence(result.vector)
