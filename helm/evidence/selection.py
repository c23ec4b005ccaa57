"""What of a log belongs into a pack: read once in order, kept as it is."""

from __future__ import annotations

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.evidence.checkpoint_proofs import Proving
from helm.evidence.scope import WHOLE, Scope
from helm.proofgraph.graph import NO_SESSION, SessionKey

Entry = dict[str, JSONValue]
"""One entry of the journal: {"node": ..., "beside": ...}."""


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
    """The entries of some sessions and of the control chain. Feed every entry of the log, in order, to `take`.

    It is the one session that it names; for a wider `scope` it names none. Where it is about a range of time, feed
    every entry to `look` before; a range that names a tenant is about this tenant's sessions.
    """

    tenant: str = ""
    session_id: str = ""
    scope: Scope = attrs.field(factory=Scope)
    entries: list[Entry] = attrs.field(factory=list, repr=False)
    outside: dict[str, int] = attrs.field(factory=dict, repr=False)
    """The clocks of the nodes that the entries stand on and that are not among them."""
    through: int = 0
    """The number of a checkpoint that the pack must reach, 0 for the one that covers the session."""
    sessions: set[SessionKey] = attrs.field(init=False, repr=False)
    """The sessions that it is about, as far as they are known: those of the whole log when it was read."""
    proving: Proving = attrs.field(init=False, repr=False)
    """What checkpoints prove of the sessions."""

    @sessions.default
    def _named(self) -> set[SessionKey]:
        return {(self.tenant, self.session_id)} if self.session_id else set()

    @proving.default
    def _of_sessions(self) -> Proving:
        return Proving(self.sessions)

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
        """Keep the entry where it belongs to one of the sessions, or to everybody."""
        session = session_of(entry)
        if self.scope.kind == WHOLE and session != NO_SESSION:
            self.sessions.add(session)
        if session == NO_SESSION or session in self.sessions:
            self.entries.append(entry)
        try:
            self.proving.take(entry)
        except (AttributeError, KeyError, TypeError) as problem:
            raise not_ours(problem) from problem

    def check_reached(self) -> None:
        """Raise NotThere where the log has not come to the checkpoint that was asked for."""
        payloads = [entry["node"]["payload"] for entry in self.entries]
        reached = max((said["checkpoint"]["sequence"] for said in payloads if "checkpoint" in said), default=0)
        if reached < self.through:
            raise NotThere(f"there is no checkpoint {self.through} yet", "journal", "`helm checkpoint list` shows them")

    def missing(self) -> frozenset[str]:
        """Return the nodes that are stood on and whose clocks are not known: feed the log to `locate` for them."""
        inside = {entry["node"]["node_hash"] for entry in self.entries}
        relied_on = {parent for entry in self.entries for parent in entry["node"]["parents"]}
        return frozenset(relied_on - inside - self.outside.keys())

    def locate(self, entry: Entry, missing: frozenset[str]) -> None:
        """Note the clock of an entry that is missing."""
        node = entry["node"]
        if node["node_hash"] in missing:
            self.outside[node["node_hash"]] = node["lamport"]
