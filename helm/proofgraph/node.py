"""A ProofGraph node: one event, the events it stands on, and the hash of all of it."""

from __future__ import annotations

from enum import StrEnum

import attrs

from helm.crypto.canonical import fragment, insert_member, ordered_bytes
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


@attrs.frozen(kw_only=True)
class Draft:
    """A node before the appender gave it its place: what happened, to whom, and what it relied on.

    `payload` is a canonical JSON object. `relies_on` are node hashes beyond the session's previous node.
    """

    kind: NodeKind
    payload: bytes = attrs.field(repr=False)
    tenant: str = ""
    session_id: str = ""
    principal: str = ""
    relies_on: tuple[str, ...] = ()


@attrs.frozen(kw_only=True)
class Node:
    """A placed node. `parents` are sorted node hashes; `lamport` is greater than every parent's."""

    kind: str
    lamport: int
    node_hash: str
    parents: tuple[str, ...]
    principal: str
    session_id: str
    shard: str
    tenant: str
    json: bytes = attrs.field(repr=False)


def place(draft: Draft, *, lamport: int, parents: tuple[str, ...], shard: str) -> Node:
    """Return `draft` as a node at `lamport` over `parents` (sorted, unique), hashed under HELM/Node/v1."""
    said = ordered_bytes(
        {
            "kind": draft.kind.value,
            "lamport": lamport,
            "parents": parents,
            "payload": fragment(draft.payload),
            "principal": draft.principal,
            "session_id": draft.session_id,
            "shard": shard,
            "tenant": draft.tenant,
        }
    )
    node_hash = hash_in(NODE, said)
    member = b'"node_hash":"' + node_hash.encode() + b'"'
    return Node(
        kind=draft.kind.value,
        lamport=lamport,
        node_hash=node_hash,
        parents=parents,
        principal=draft.principal,
        session_id=draft.session_id,
        shard=shard,
        tenant=draft.tenant,
        json=insert_member(said, member, b"parents"),
    )
