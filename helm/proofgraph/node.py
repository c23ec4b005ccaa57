"""A ProofGraph node: one event, the events it stands on, and the hash of all of it."""

from __future__ import annotations

from enum import StrEnum

from helm.contracts.form import Noun
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


class Draft(Noun, frozen=True):
    """A node before the appender gave it its place: what happened, to whom, and what it relied on.

    `payload` is a canonical JSON object. `relies_on` are node hashes beyond the session's previous node.
    """

    kind: str
    payload: bytes
    tenant: str = ""
    session_id: str = ""
    principal: str = ""
    relies_on: tuple[str, ...] = ()


class Node(Noun, frozen=True):
    """A placed node. `lamport` is greater than every parent's; `json` is the node's object, its hash included."""

    lamport: int
    node_hash: str
    json: bytes


class Whose(Noun, frozen=True):
    """The last members of a node's object, in their canonical order."""

    principal: str
    session_id: str
    shard: str
    tenant: str


def place(draft: Draft, lamport: int, parents: tuple[str, ...], shard: str) -> Node:
    """Return `draft` as a node at `lamport` over `parents` (sorted, unique), hashed under HELM/Node/v1."""
    whose = ordered_bytes(Whose(draft.principal, draft.session_id, shard, draft.tenant))
    head = b'{"kind":%b,"lamport":%d' % (ordered_bytes(draft.kind), lamport)
    tail = b"".join((b',"parents":', ordered_bytes(parents), b',"payload":', draft.payload, b",", whose[1:]))
    node_hash = hash_in(NODE, head + tail)
    return Node(lamport, node_hash, b"".join((head, b',"node_hash":"', node_hash.encode(), b'"', tail)))
