"""What a node may stand on within a pack: whoever reads a pack forgets the rest, and needs no memory for it.

The last node of every chain, intents whose outcome is still to come, and events, which are few: keys, stops, approvals,
checkpoints. A call that is over is stood on by nobody but its session's next node; where it is, the frontier says so.
"""

from __future__ import annotations

import attrs

from helm.contracts.form import JSONValue
from helm.evidence.layout import REFUSAL
from helm.proofgraph.graph import SessionKey
from helm.proofgraph.node import NodeKind


@attrs.define
class Edge:
    """The nodes that a following one may stand on."""

    _heads: dict[SessionKey, str] = attrs.field(factory=dict, repr=False)
    _last: set[str] = attrs.field(factory=set, repr=False)
    _lasting: set[str] = attrs.field(factory=set, repr=False)

    def __contains__(self, node_hash: str) -> bool:
        return node_hash in self._last or node_hash in self._lasting

    def advance(self, kind: str, session: SessionKey, node_hash: str, payload: dict[str, JSONValue]) -> None:
        """Take the next node."""
        self._last.discard(self._heads.get(session, ""))
        self._heads[session] = node_hash
        self._last.add(node_hash)
        if kind == NodeKind.EFFECT:
            self._lasting.discard(str(payload.get("intent_node")))
        elif kind != NodeKind.ATTESTATION or payload.get("type") != REFUSAL:
            self._lasting.add(node_hash)
