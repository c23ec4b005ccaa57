"""Parked approvals: which intents wait for a human, and until when."""

from __future__ import annotations

import attrs


@attrs.frozen(kw_only=True)
class Parked:
    """One intent that waits. An approval answers one requirement; it skips no gate."""

    approval_id: str
    args_hash: str
    expires_at_ms: int
    intent_hash: str
    policy_hash: str
    principal: str
    reason_code: str
    requested_at_ms: int
    session_id: str
    state: str = "PENDING"
    tenant: str
    tool: str


@attrs.define
class Approvals:
    """Every parked intent by its approval id, which names the intent: asking twice parks once."""

    parked: dict[str, Parked] = attrs.field(factory=dict, repr=False)

    def park(self, parked: Parked) -> None:
        """Park an intent; one that waits already keeps its place and its deadline."""
        waiting = self.parked.get(parked.approval_id)
        if waiting is None or waiting.state != "PENDING":
            self.parked[parked.approval_id] = parked

    def expire(self, approval_id: str) -> None:
        """End the wait of an intent whose time is over."""
        self.parked[approval_id] = attrs.evolve(self.parked[approval_id], state="EXPIRED")

    def due(self, now_ms: int) -> list[Parked]:
        """Return the pending ones whose deadline has passed, earliest first."""
        late = [p for p in self.parked.values() if p.state == "PENDING" and p.expires_at_ms <= now_ms]
        return sorted(late, key=lambda parked: (parked.expires_at_ms, parked.approval_id))

    def next_deadline_ms(self) -> int | None:
        """Return the earliest deadline of a pending one, or None."""
        return min((p.expires_at_ms for p in self.parked.values() if p.state == "PENDING"), default=None)
