"""What became of one replay: which calls came out as they were, and why the first one did not."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.evidence.proven import Helpers
from helm.evidence.reading import Reading
from helm.evidence.replay import Diverged, Rejudged, replay_calls
from helm.evidence.trust_root import TrustRoot
from helm.evidence.verify import CheckFailed, check_pack

Seen = Callable[[int, int], None]
"""Told how many calls were judged again, and of how many."""


def unseen(done: int, total: int) -> None:
    """Tell nobody."""


@attrs.define
class ReplayReport:
    """What became of one replay."""

    calls: list[Rejudged] = attrs.field(factory=list)
    redacted: tuple[str, ...] = ()
    failed: CheckFailed | None = None
    """The check of the pack that did not hold: then nothing was judged."""
    diverged: Diverged | None = None
    problem: Invalid | None = None
    """Why a call could not be judged again."""

    @property
    def verified(self) -> bool:
        """Whether the pack is authentic and everything that could be judged came out as it was."""
        return self.failed is None and self.diverged is None and self.problem is None

    def body(self, *, with_calls: bool) -> dict[str, JSONValue]:
        """Return the outcome as a JSON object."""
        said: dict[str, JSONValue] = {
            "verified": self.verified,
            "authenticated": self.failed is None,
            "failed_check": None if self.failed is None else check_body(self.failed),
            "judged": len(self.calls),
            "redacted": [*self.redacted],
            "divergence": None if self.diverged is None else divergence_body(self.diverged),
            "problem": None if self.problem is None else str(self.problem),
        }
        return said | ({"calls": [attrs.asdict(call) for call in self.calls]} if with_calls else {})


def replay_report(raw: bytes, root: TrustRoot, helpers: Helpers | None = None, seen: Seen = unseen) -> ReplayReport:
    """Verify a pack and judge its calls again, up to the first that is decided otherwise.

    Never raises for what is in the pack.
    """
    report = ReplayReport()
    try:
        reading = check_pack(raw, root, helpers)
    except CheckFailed as failed:
        report.failed = failed
        return report
    report.redacted = reading.manifest.cover.redacted
    try:
        judge(reading, report, seen)
    except Diverged as diverged:
        report.diverged = diverged
    except Invalid as problem:
        report.problem = problem
    return report


def judge(reading: Reading, report: ReplayReport, seen: Seen) -> None:
    """Judge every call again. Raises Diverged, Invalid."""
    total = len(reading.calls) - len(report.redacted)
    for call in replay_calls(reading):
        report.calls.append(call)
        seen(len(report.calls), total)


def check_body(failed: CheckFailed) -> dict[str, JSONValue]:
    """Return the check that did not hold as a JSON object."""
    return {"number": failed.number, "name": failed.name, "detail": str(failed)}


def divergence_body(diverged: Diverged) -> dict[str, JSONValue]:
    """Return the first call that came out otherwise as a JSON object."""
    return {
        "lamport": diverged.lamport,
        "decision_id": diverged.decision_id,
        "member": diverged.member,
        "was": diverged.was,
        "now": diverged.now,
    }
