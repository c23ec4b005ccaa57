"""A ProofGraph node: one event, the events it stands on, and the hash of all of it."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from helm.crypto.canonical import ordered_bytes
from helm.crypto.domains import NODE
from helm.crypto.hashing import hash_in


class NodeKind(StrEnum):
    """What a node is evidence of."""

    INTENT = "INTENT"
    ATTESTATION = "ATTESTATION"
    EFFECT = "EFFECT"
    TRUST_EVENT = "TRUST_EVENT"
    CHECKPOINT = "CHECKPOINT"
    MERGE_DECISION = "MERGE_DECISION"


class Draft(NamedTuple):
    """A node before the appender gave it its place: what happened, to whom, and what it relied on.

    `payload` is a canonical JSON object. `relies_on` are node hashes beyond the session's previous node.
    """

    kind: str
    payload: bytes
    tenant: str = ""
    session_id: str = ""
    principal: str = ""
    relies_on: tuple[str, ...] = ()


class Node(NamedTuple):
    """A placed node. `lamport` is greater than every parent's; `json` is the node's object, its hash included."""

    lamport: int
    node_hash: str
    json: bytes


def place(draft: Draft, lamport: int, parents: tuple[str, ...], shard: str) -> Node:
    """Return `draft` as a node at `lamport` over `parents` (sorted, unique), hashed under HELM/Node/v1."""
    whose = {"principal": draft.principal, "session_id": draft.session_id, "shard": shard, "tenant": draft.tenant}
    head = b'{"kind":%b,"lamport":%d' % (ordered_bytes(draft.kind), lamport)
    tail = b',"parents":%b,"payload":%b,%b' % (ordered_bytes(parents), draft.payload, ordered_bytes(whose)[1:])
    node_hash = hash_in(NODE, head + tail)
    return Node(lamport, node_hash, b'%b,"node_hash":"%b"%b' % (head, node_hash.encode(), tail))
