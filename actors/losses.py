"""Losses: what observers were not told, counted. Nothing waits for an observer, so whatever does not fit is lost."""

from __future__ import annotations

import attrs


@attrs.define(eq=False)
class Losses:
    """What was lost since the process began. Each number is counted in one place only, by one thread at a time."""

    spans_refused: int = 0
    """Spans for which there was no room."""
    spans_undelivered: int = 0
    """Spans that no collector took."""
    figures_undelivered: int = 0
    """Sets of figures that no collector took."""
    calls_refused: int = 0
    """Lines about calls for which there was no room."""
    lines_refused: int = 0
    """Other lines of the log for which there was no room."""
    lines_unwritten: int = 0
    """Lines that could not be written."""

    @property
    def spans(self) -> int:
        """How many spans nobody will ever see."""
        return self.spans_refused + self.spans_undelivered

    @property
    def lines(self) -> int:
        """How many lines the log lacks."""
        return self.calls_refused + self.lines_refused + self.lines_unwritten
