"""A figure: several measurements of one ratio, with its target."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import attrs


@attrs.frozen(kw_only=True)
class Figure:
    """One row of the report. `samples` are ratios, one per run; `at_least` says which side of `target` is good."""

    name: str
    target: float
    at_least: bool
    samples: Sequence[float]
    detail: str = ""

    @property
    def median(self) -> float:
        """The figure to quote."""
        return median(self.samples)

    @property
    def met(self) -> bool:
        """Whether the median keeps the target."""
        return self.median >= self.target if self.at_least else self.median <= self.target

    def body(self) -> dict[str, object]:
        """Return the row as a JSON object."""
        return {
            "name": self.name,
            "median": round(self.median, 4),
            "min": round(min(self.samples), 4),
            "max": round(max(self.samples), 4),
            "runs": len(self.samples),
            "target": self.target,
            "direction": "at least" if self.at_least else "at most",
            "met": self.met,
            "detail": self.detail,
        }
