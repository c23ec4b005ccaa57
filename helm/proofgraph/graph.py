"""The append rules of the ProofGraph: which place a new node takes, and which places a read-back node may take.

One shard has one writer, so its Lamport clock is dense: a missing, doubled or reordered node shows as a gap.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.canonical import record_bytes
from helm.crypto.hashing import PREFIX
from helm.proofgraph.node import Draft, Node, NodeKind, place

SessionKey = tuple[str, str]
NO_SESSION: SessionKey = ("", "")

MEMBERS: Mapping[str, type] = MappingProxyType(
    {
        "kind": str,
        "lamport": int,
        "node_hash": str,
        "parents": list,
        "payload": dict,
        "principal": str,
        "session_id": str,
        "shard": str,
        "tenant": str,
    }
)
"""The members of a node's object, in canonical order."""

NOWHERE = ""
"""The head of what has no node yet."""

KINDS = frozenset(map(str, NodeKind))


@attrs.define
class Graph:
    """The growing edge of one shard: its clock, its last control node and each session's last node.

    Control nodes (no session) form a chain of their own; every first node of a session stands on the last of them,
    so that policy activation, freeze and trust are causes of what was decided under them.
    """

    shard: str
    lamport: int = 0
    control_head: str = ""
    heads: dict[SessionKey, str] = attrs.field(factory=dict, repr=False)
    """The last node of every session; control nodes have none."""

    def append(self, draft: Draft) -> Node:
        """Place `draft` on the edge: the next tick, over its session's head, the control head and what it relies on."""
        key = (draft.tenant, draft.session_id)
        parents = self.causes(key, draft.relies_on)
        node = place(draft, self.lamport + 1, parents, self.shard)
        self.advance(key, node.node_hash)
        return node

    def causes(self, key: SessionKey, relies_on: tuple[str, ...]) -> tuple[str, ...]:
        """Return what the next node of `key` must stand on, sorted and unique."""
        causes = {self.control_head, self.heads.get(key, NOWHERE), *relies_on}
        causes.discard(NOWHERE)
        return tuple(sorted(causes))

    def advance(self, key: SessionKey, node_hash: str) -> None:
        """Move the edge past a node that took the next place."""
        self.lamport += 1
        if key == NO_SESSION:
            self.control_head = node_hash
        else:
            self.heads[key] = node_hash


@attrs.frozen(kw_only=True)
class Placed:
    """A node that was read back and verified."""

    kind: str
    lamport: int
    node_hash: str
    parents: tuple[str, ...]
    principal: str
    session_id: str
    shard: str
    tenant: str

    @property
    def session(self) -> SessionKey:
        """The node's session, NO_SESSION for one of the control chain."""
        return (self.tenant, self.session_id)


@attrs.define
class Fold:
    """Re-read a shard from its first node, refusing whatever does not follow (T9.3).

    Feed every node object in order to `take`. Afterwards `graph` is the edge to append to.
    """

    graph: Graph
    lamport_of: dict[bytes, int] = attrs.field(factory=dict, repr=False)

    def take(self, body: dict[str, Any], where: str) -> Placed:
        """Return the verified node of `body`; raise Invalid naming `where` for a broken, missing or cyclic link."""
        node = self._recomputed(body, where)
        if node.lamport != self.graph.lamport + 1:
            raise _broken(
                where, f"lamport {node.lamport} follows {self.graph.lamport}: a node is missing, doubled or moved"
            )
        if node.shard != self.graph.shard:
            raise _broken(where, f"belongs to shard {node.shard!r}, this log is {self.graph.shard!r}")
        self._check_parents(node, where)
        self.lamport_of[_key(node.node_hash)] = node.lamport
        self.graph.advance((node.tenant, node.session_id), node.node_hash)
        return node

    def _recomputed(self, body: dict[str, Any], where: str) -> Placed:
        _check_members(body, where)
        draft = Draft(
            kind=body["kind"],
            payload=record_bytes(body["payload"]),
            tenant=body["tenant"],
            session_id=body["session_id"],
            principal=body["principal"],
        )
        node = place(draft, body["lamport"], tuple(body["parents"]), body["shard"])
        if node.node_hash != body["node_hash"]:
            raise _broken(where, f"does not hash to its name {body['node_hash']!r}: it was edited")
        return Placed(
            kind=draft.kind,
            lamport=node.lamport,
            node_hash=node.node_hash,
            parents=tuple(body["parents"]),
            principal=draft.principal,
            session_id=draft.session_id,
            shard=body["shard"],
            tenant=draft.tenant,
        )

    def _check_parents(self, node: Placed, where: str) -> None:
        if list(node.parents) != sorted(set(node.parents)):
            raise _broken(where, "its parents are not sorted and unique")
        for parent in node.parents:
            if _key(parent) not in self.lamport_of:
                raise _broken(where, f"stands on {parent}, which does not come before it")
        for cause in self.graph.causes((node.tenant, node.session_id), ()):
            if cause not in node.parents:
                raise _broken(where, f"forks the graph: it does not stand on {cause}")


def _check_members(body: object, where: str) -> None:
    """Raise Invalid unless `body` has exactly the members of a node, each of its type."""
    if type(body) is not dict or body.keys() != MEMBERS.keys():
        raise _broken(where, f"is not an object of {', '.join(MEMBERS)}")
    for name, kind in MEMBERS.items():
        if type(body[name]) is not kind:
            raise _broken(where, f"has a {name} that is {type(body[name]).__name__}")
    if body["kind"] not in KINDS or not all(type(parent) is str for parent in body["parents"]):
        raise _broken(where, f"is of kind {body['kind']!r}, or its parents are not texts")


def _key(node_hash: str) -> bytes:
    """Return a written hash in half its size, b"" for a text that is none."""
    try:
        raw = bytes.fromhex(node_hash[len(PREFIX) :])
    except ValueError:
        return b""
    return raw if PREFIX + raw.hex() == node_hash else b""


def _broken(where: str, problem: str) -> Invalid:
    return Invalid(
        what=f"node {problem}", where=where, hint="the journal was changed behind HELM's back: restore it from a backup"
    )
