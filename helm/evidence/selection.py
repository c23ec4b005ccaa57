"""What of a log belongs into the pack of one session: read once in order, kept as it is."""

from __future__ import annotations

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.evidence.checkpoint_proofs import Proving
from helm.proofgraph.graph import NO_SESSION, SessionKey

Entry = dict[str, JSONValue]
"""One entry of the journal: {"node": ..., "beside": ...}."""


def session_of(entry: Entry) -> SessionKey:
    """Return the session of an entry, two empty names for a control entry. Raises Invalid where it has none."""
    try:
        return (entry["node"]["tenant"], entry["node"]["session_id"])
    except (KeyError, TypeError) as problem:
        raise Invalid("an entry is without a node", "journal", "`helm receipts verify` names the entry") from problem


@attrs.define
class Selection:
    """The entries of one session and of the control chain. Feed every entry of the log, in order, to `take`."""

    tenant: str
    session_id: str
    entries: list[Entry] = attrs.field(factory=list, repr=False)
    outside: dict[str, int] = attrs.field(factory=dict, repr=False)
    """The clocks of the nodes that the entries stand on and that are not among them."""
    through: int = 0
    """The number of a checkpoint that the pack must reach, 0 for the one that covers the session."""
    proving: Proving = attrs.field(init=False, repr=False)
    """What checkpoints prove of the session."""

    @proving.default
    def _of_session(self) -> Proving:
        return Proving((self.tenant, self.session_id))

    def take(self, entry: Entry) -> None:
        """Keep the entry where it belongs to the session or to everybody."""
        if session_of(entry) in (NO_SESSION, (self.tenant, self.session_id)):
            self.entries.append(entry)
        try:
            self.proving.take(entry)
        except (AttributeError, KeyError, TypeError) as problem:
            what = f"an entry is not what a kernel writes: {type(problem).__name__} {problem}"
            raise Invalid(what, "journal", "`helm receipts verify` names the entry") from problem

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
