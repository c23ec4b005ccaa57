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
        """End the wait of an intent whose time is over.

        A refusal reaches the journal after its signing: an event that ends its wait may stand there before it. Then
        there is nothing to end yet, and the deadline that has passed is noticed again.
        """
        waiting = self.parked.get(approval_id)
        if waiting is not None:
            self.parked[approval_id] = attrs.evolve(waiting, state="EXPIRED")

    def is_due(self, approval_id: str, now_ms: int) -> bool:
        """Say whether the intent still waits although its deadline has passed."""
        waiting = self.parked.get(approval_id)
        return waiting is not None and waiting.state == "PENDING" and waiting.expires_at_ms <= now_ms

    def pending(self) -> list[Parked]:
        """Return every intent that still waits."""
        return [parked for parked in self.parked.values() if parked.state == "PENDING"]
