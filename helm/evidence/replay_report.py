"""What became of one replay: which calls came out as they were, and why the first one did not."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.evidence.archive import Raw
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

    judged: int = 0
    """How many calls came out as they were."""
    calls: list[Rejudged] = attrs.field(factory=list)
    """Which: where whoever asked wants to see them."""
    redacted: int = 0
    """How many calls' facts were left out of the pack."""
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
            "judged": self.judged,
            "redacted": self.redacted,
            "divergence": None if self.diverged is None else divergence_body(self.diverged),
            "problem": None if self.problem is None else str(self.problem),
        }
        return said | ({"calls": [attrs.asdict(call) for call in self.calls]} if with_calls else {})


def replay_report(
    raw: Raw, root: TrustRoot, helpers: Helpers | None = None, seen: Seen = unseen, *, with_calls: bool = False
) -> ReplayReport:
    """Verify a pack and judge its calls again, up to the first that is decided otherwise.

    Never raises for what is in the pack. Only with `with_calls` is every call there at the end.
    """
    report = ReplayReport()
    try:
        reading = check_pack(raw, root, helpers, keep=False)
    except CheckFailed as failed:
        report.failed = failed
        return report
    report.redacted = reading.manifest.cover.redacted
    try:
        for call in judge(reading, report, seen):
            if with_calls:
                report.calls.append(call)
    except Diverged as diverged:
        report.diverged = diverged
    except Invalid as problem:
        report.problem = problem
    return report


def judge(reading: Reading, report: ReplayReport, seen: Seen) -> Iterator[Rejudged]:
    """Judge every call again, and yield each. Raises Diverged, Invalid."""
    total = reading.counts.calls - report.redacted
    for call in replay_calls(reading):
        report.judged += 1
        seen(report.judged, total)
        yield call


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
