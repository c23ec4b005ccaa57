"""Sessions: bound for ever to one tenant and principal, closed by command or age, never reopened (T9.4)."""

from __future__ import annotations

import attrs

SessionKey = tuple[str, str]

MAX_AGE_MS = 30 * 24 * 3600 * 1000
"""Age at which a session is closed: a forgotten session is a fixation waiting to happen (T9.4)."""

MAX_LABELS = 256
"""Labels of one session: they stand beside each of its decisions. One more closes it, none is forgotten (T4)."""

OVERFLOWN = ("more labels than a session may carry",)
"""What stands for the labels of a session that had too many; no label holds a blank."""


@attrs.frozen
class Binding:
    """Whose a session is, since when, what taints it, and whether it is closed."""

    principal: str
    opened_at_ms: int
    labels: tuple[str, ...] = ()
    closed: bool = False

    def closed_at(self, now_ms: int) -> bool:
        """Say whether the session is closed at `now_ms`, by command or by age."""
        return self.closed or now_ms - self.opened_at_ms >= MAX_AGE_MS


@attrs.define
class Sessions:
    """Every session's binding, folded from the calls and commands that named it."""

    bindings: dict[SessionKey, Binding] = attrs.field(factory=dict, repr=False)

    def find(self, session: SessionKey) -> Binding | None:
        """Return the binding of (tenant, session_id), or None for a session that nobody opened."""
        return self.bindings.get(session)

    def bind(self, session: SessionKey, principal: str, now_ms: int) -> None:
        """Bind a session to its first principal; later calls change nothing.

        A refusal reaches the journal after its signing, and what was decided meanwhile stands before it there: so
        the earliest call of the owner counts as the opening one, in whatever order the calls are noted.
        """
        binding = self.bindings.get(session)
        if binding is None:
            self.bindings[session] = Binding(principal, now_ms)
        elif now_ms < binding.opened_at_ms and principal == binding.principal:
            self.bindings[session] = attrs.evolve(binding, opened_at_ms=now_ms)

    def taint(self, session: SessionKey, principal: str, labels: tuple[str, ...]) -> None:
        """Add taint labels, which a session carries from then on; only its own principal can taint it."""
        binding = self.bindings[session]
        if principal != binding.principal or binding.labels == OVERFLOWN:
            return
        merged = tuple(sorted({*binding.labels, *labels}))
        if len(merged) > MAX_LABELS:
            self.bindings[session] = attrs.evolve(binding, labels=OVERFLOWN, closed=True)
        elif merged != binding.labels:
            self.bindings[session] = attrs.evolve(binding, labels=merged)

    def close(self, session: SessionKey, principal: str, now_ms: int) -> None:
        """Close a session of `principal` for ever, also where the refusal that opened it is yet to be noted."""
        self.bind(session, principal, now_ms)
        self.bindings[session] = attrs.evolve(self.bindings[session], closed=True)
