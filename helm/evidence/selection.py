"""What of a log belongs into a pack: read once, in order."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from helm.contracts.errors import Invalid
from helm.evidence.checkpoint_proofs import Proving
from helm.evidence.gathered import Entry, Gathered
from helm.evidence.scope import SESSION, WHOLE, Scope
from helm.evidence.spool import InMemory, Spool
from helm.proofgraph.graph import NO_SESSION, SessionKey
from helm.proofgraph.node import NodeKind


class NotThere(Invalid):
    """The log does not hold what a pack is asked for."""


def session_of(entry: Entry) -> SessionKey:
    """Return the session of an entry, two empty names for a control entry. Raises Invalid where it has none."""
    try:
        return (entry["node"]["tenant"], entry["node"]["session_id"])
    except (KeyError, TypeError) as problem:
        raise Invalid("an entry is without a node", "journal", "`helm receipts verify` names the entry") from problem


def not_ours(problem: Exception) -> Invalid:
    """Return the refusal of an entry that is not what a kernel writes."""
    what = f"an entry is not what a kernel writes: {type(problem).__name__} {problem}"
    return Invalid(what, "journal", "`helm receipts verify` names the entry")


@attrs.define
class Selection:
    """Some sessions and the control chain. Feed every entry of the log, in order, to `take`.

    It is the one session that it names; for a wider `scope` it names none. Where it is about a range of time, feed
    every entry to `look` before; a range that names a tenant is about this tenant's sessions.
    """

    tenant: str = ""
    session_id: str = ""
    scope: Scope = attrs.field(factory=Scope)
    through: int = 0
    """The number of a checkpoint that the pack must reach, 0 for the one that covers the session."""
    spool: Callable[[], Spool] = attrs.field(default=InMemory, repr=False)
    """Makes places to put the parts of the pack."""
    outside: dict[str, int] = attrs.field(factory=dict, init=False, repr=False)
    """The clocks of the nodes that the entries stand on and that are not among them."""
    sessions: set[SessionKey] = attrs.field(init=False, repr=False)
    """The sessions that it is about, as far as they are known: those of the whole log when it was read."""
    gathered: Gathered = attrs.field(init=False, repr=False)
    proving: Proving = attrs.field(init=False, repr=False)
    """What checkpoints prove of the sessions."""
    _reached: int = attrs.field(default=0, init=False)
    """The number of the last checkpoint."""
    _waiting: list[Entry] = attrs.field(factory=list, init=False, repr=False)
    """What the kernel did for others since: it belongs to the pack if anything of the sessions follows."""
    _is_known: bool = attrs.field(default=False, init=False)
    _is_covered: bool = attrs.field(default=True, init=False)
    """Whether a checkpoint covers all of the sessions so far."""

    def __attrs_post_init__(self) -> None:
        self.sessions = {(self.tenant, self.session_id)} if self.session_id else set()
        self.gathered, self.proving = Gathered(self.spool), Proving(self.sessions)

    def look(self, entry: Entry) -> None:
        """Note the session of a call that was decided in the range of time. Raises Invalid."""
        try:
            decision = entry["node"]["payload"].get("decision")
            if decision is None or self.tenant not in ("", decision["tenant"]):
                return
            if self.scope.covers(decision["decided_at_ms"]):
                self.sessions.add(session_of(entry))
        except (AttributeError, KeyError, TypeError) as problem:
            raise not_ours(problem) from problem

    def take(self, entry: Entry) -> None:
        """Gather the entry where it belongs to one of the sessions, or to everybody. Raises Invalid."""
        session = session_of(entry)
        if self.scope.kind == WHOLE and session != NO_SESSION:
            self.sessions.add(session)
        try:
            if session == NO_SESSION or session in self.sessions:
                self._take(entry, session)
            self.proving.take(entry)
        except (AttributeError, KeyError, TypeError) as problem:
            raise not_ours(problem) from problem

    def _take(self, entry: Entry, session: SessionKey) -> None:
        """Gather up to the last entry of the sessions, the checkpoint that covers it, and the last trust event.

        What the kernel did for others afterwards says nothing about these sessions; that a key was revoked does, and
        so does a checkpoint. The whole log is all of it.
        """
        kind, covers = entry["node"]["kind"], False
        if kind == NodeKind.CHECKPOINT:
            self._reached = entry["node"]["payload"]["checkpoint"]["sequence"]
            covers = not self._is_covered or self._reached <= self.through
        self._waiting.append(entry)
        if self.scope.kind == WHOLE or session != NO_SESSION or covers or kind == NodeKind.TRUST_EVENT:
            for one in self._waiting:
                self.gathered.take(one)
            self._waiting.clear()
            self._is_known = self._is_known or session != NO_SESSION
            self._is_covered = covers or (self._is_covered and session == NO_SESSION)

    def check_known(self) -> None:
        """Raise NotThere for a session, or a range of time, of which nothing is there."""
        if self._is_known or self.scope.kind == WHOLE:
            return
        of_session = self.scope.kind == SESSION
        where = f"session {self.session_id} of {self.tenant}" if of_session else "this range of time"
        raise NotThere("nothing is known of it", where, "`helm receipts list` shows the sessions and their times")

    def check_reached(self) -> None:
        """Raise NotThere where the log has not come to the checkpoint that was asked for."""
        if self._reached < self.through:
            raise NotThere(f"there is no checkpoint {self.through} yet", "journal", "`helm checkpoint list` shows them")

    def missing(self) -> frozenset[str]:
        """Return the nodes that are stood on and whose clocks are not known: feed the log to `locate` for them."""
        return frozenset(self.gathered.relied_on - self.outside.keys())

    def locate(self, entry: Entry, missing: frozenset[str]) -> None:
        """Note the clock of an entry that is missing."""
        node = entry["node"]
        if node["node_hash"] in missing:
            self.outside[node["node_hash"]] = node["lamport"]
