"""A part of the ProofGraph: the control chain and some sessions, which stand by themselves.

In a whole log the clock is dense. In a part of it there are gaps where other sessions were, but the same
causes must be there: each control node stands on the control node before it, and each node of a session on the
session's last node and on the last control node, so that no node of either can be left out before the end.
What else a node relied on and is not at the edge stands in the frontier, with its place on the clock.
"""

from __future__ import annotations

from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue, Noun
from helm.evidence.at_once import Call, Line, read_line
from helm.evidence.edge import Edge
from helm.evidence.layout import REFUSAL
from helm.evidence.lines import read_json
from helm.evidence.payloads import Shape
from helm.proofgraph.graph import MEMBERS, NO_SESSION, Graph, SessionKey
from helm.proofgraph.node import NodeKind

WHOLE: Final = Shape(MEMBERS)
BARE: Final = Shape({name: kind for name, kind in MEMBERS.items() if name != "payload"})
"""A node whose payload stands elsewhere."""

EDITED = "the graph was edited, or the pack is not from one log"


class Payload(Noun, frozen=True):
    """What a node says, as it is read and as it is hashed."""

    body: dict[str, JSONValue]
    """Of a call that was read at once: its type, and the hashes of the record and the receipt that it binds."""
    raw: bytes
    where: str
    call: Call | None = None


class PartNode(Noun, frozen=True):
    """A node of the part, at its place."""

    kind: str
    lamport: int
    node_hash: str
    payload: dict[str, JSONValue]
    principal: str
    session: SessionKey
    where: str
    call: Call | None
    """The call, where its payload is in its one form and everything in it hashes to its name."""
    parents: tuple[str, ...]
    payload_at: str
    """The place of its payload."""

    @property
    def is_refusal(self) -> bool:
        """Whether it is a call that was not let through, and its receipt's node as well."""
        return self.kind == NodeKind.ATTESTATION and self.payload.get("type") == REFUSAL

    @property
    def is_call(self) -> bool:
        """Whether it is the decision about a call."""
        return self.kind == NodeKind.INTENT or self.is_refusal


def read_node(raw: bytes, where: str) -> Line:
    """Return a line of the graph. Raises Invalid, naming what is wrong, unless it is one node in canonical bytes."""
    line = read_line(raw)
    if line is None:
        body = read_json(raw, where)
        (WHOLE if "payload" in body else BARE).check(body, where)
        raise Invalid("is not the node that it says", where, EDITED)
    return line


@attrs.define
class Part:
    """The growing part, and what its nodes may stand on."""

    sessions: frozenset[SessionKey]
    graph: Graph
    frontier: dict[str, int]
    """Nodes beyond the edge that nodes of the part rely on, and their places on the clock."""
    edge: Edge = attrs.field(factory=Edge, repr=False)
    relied_on: set[str] = attrs.field(factory=set, repr=False)
    """What of the frontier was needed so far."""

    def take(self, line: Line, payload: Payload, where: str) -> PartNode:
        """Return the node of a line. Raises Invalid where it does not follow."""
        node, session = line.node, line.node.session
        if line.hash_with(payload.raw) != node.node_hash:
            raise Invalid(f"does not hash to its name {node.node_hash}", where, EDITED)
        if node.shard != self.graph.shard or (session != NO_SESSION and session not in self.sessions):
            raise Invalid(f"belongs to another shard or session: {session}", where, EDITED)
        if node.lamport <= self.graph.lamport:
            what = f"lamport {node.lamport} follows {self.graph.lamport}: it is doubled or moved"
            raise Invalid(what, where, EDITED)
        self.check_parents(node.parents, session, node.lamport, where)
        self.graph.lamport = node.lamport - 1
        self.graph.advance(session, node.node_hash)
        self.edge.advance(node.kind, session, node.node_hash, payload.body)
        return PartNode(
            node.kind,
            node.lamport,
            node.node_hash,
            payload.body,
            node.principal,
            session,
            where,
            payload.call,
            node.parents,
            payload.where,
        )

    def check_parents(self, parents: tuple[str, ...], session: SessionKey, lamport: int, where: str) -> None:
        """Raise Invalid unless every parent comes before, and every cause that must be there is a parent."""
        control, head = self.graph.control_head, self.graph.heads.get(session, "")
        if head and control and parents == ((control, head) if control < head else (head, control)):
            return  # as most nodes are
        needed = self.graph.causes(session, ())
        if not needed and lamport != 1:
            raise Invalid("the log's first node is missing", where, EDITED)
        for cause in needed:
            if cause not in parents:
                raise Invalid(f"does not stand on {cause}: a node between them is missing", where, EDITED)
        if parents == needed:
            return
        if [*parents] != sorted(set(parents)):
            raise Invalid("its parents are not sorted and unique", where, EDITED)
        for parent in parents:
            self.check_parent(parent, lamport, is_first=session != NO_SESSION and not head, where=where)

    def check_parent(self, parent: str, lamport: int, *, is_first: bool, where: str) -> None:
        """Raise Invalid unless `parent` comes before `lamport`, on the edge or in the frontier.

        What a session begins with, `is_first`, stands on nothing in the frontier: that would be the place to hide
        its true beginning, calls that no receipt tells of among it.
        """
        if parent in self.edge:
            return
        if is_first:
            raise Invalid(f"stands on {parent}, and no session begins so: its first nodes are missing", where, EDITED)
        if not 0 < self.frontier.get(parent, 0) < lamport:
            raise Invalid(f"stands on {parent}, which does not come before it", where, EDITED)
        self.relied_on.add(parent)
