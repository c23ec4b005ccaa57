"""What a pack is about: one session, the sessions that had calls in a range of time, or the whole log."""

from __future__ import annotations

from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.proofgraph.graph import NO_SESSION, SessionKey

SESSION: Final = "session"
RANGE: Final = "range"
WHOLE: Final = "whole"

SCOPES: Final = frozenset({SESSION, RANGE, WHOLE})

HINT: Final = "a pack is about one session, a range of time, or the whole log"


@attrs.frozen
class Scope:
    """A session is in a pack as a whole or not at all: its chain begins at GENESIS, whatever the range of time.

    `from_ms` is the first moment of a range, `until_ms` the first one behind it; both 0 where there is no range.
    """

    kind: str = SESSION
    from_ms: int = 0
    until_ms: int = 0

    def __attrs_post_init__(self) -> None:
        is_range = 0 <= self.from_ms < self.until_ms
        is_none = self.from_ms == self.until_ms == 0
        if self.kind not in SCOPES or not (is_range if self.kind == RANGE else is_none):
            raise Invalid(f"{self.kind} from {self.from_ms} until {self.until_ms} is no scope", "scope", HINT)

    def covers(self, at_ms: int) -> bool:
        """Tell whether a call that was decided at this moment is in the range."""
        return self.from_ms <= at_ms < self.until_ms


def check_scope(kind: str, from_ms: int, until_ms: int, sessions: tuple[SessionKey, ...], where: str) -> None:
    """Raise Invalid unless a pack may say of itself that it is about these sessions, in this scope."""
    try:
        Scope(kind, from_ms, until_ms)
    except Invalid as problem:
        raise Invalid(problem.what, where, HINT) from problem
    if [*sessions] != sorted(set(sessions)) or NO_SESSION in sessions:
        raise Invalid("its sessions are not sorted and unique", where, HINT)
    if kind == SESSION and len(sessions) != 1:
        raise Invalid(f"it is about one session, and names {len(sessions)}", where, HINT)
