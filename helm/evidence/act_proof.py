"""Proving that an act of administration lies under a checkpoint: the control chain from the act to what it covers.

    helm.act/1    an act, the acts behind it in order, and a signed checkpoint that names the last of them

Each act of the control chain stands on the one before it, by hash, and a checkpoint signs the name of the last one
that it covers. So nothing between the two can be left out or changed, and no tree is needed.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto import domains
from helm.crypto.canonical import record_bytes
from helm.crypto.hashing import hash_in
from helm.evidence.audit import act_of
from helm.evidence.checkpoints import unseal_checkpoint
from helm.evidence.part import WHOLE
from helm.proofgraph.checkpoint import Checkpoint
from helm.proofgraph.graph import NO_SESSION
from helm.proofgraph.node import NodeKind

ACT: Final = "helm.act/1"

EDITED: Final = "it was edited, or is another document"

MAX_BEHIND: Final = 100_000
"""Most acts between an act and its checkpoint that are looked at (T4)."""

Node = dict[str, JSONValue]


@attrs.define
class ActSearch:
    """Looks for one act, by its node, and for the checkpoint that covers it: the first, or a later one by number.

    Feed entries, in order, to `take` until it returns what the document says besides the signed checkpoint.
    """

    wanted: str
    through: int = 0
    chain: list[Node] = attrs.field(factory=list)

    def take(self, entry: dict[str, Any]) -> dict[str, JSONValue] | None:
        """Take the next entry; return act, chain and the payload of the checkpoint that covers both."""
        node = entry["node"]
        if (node["tenant"], node["session_id"]) != NO_SESSION:
            return None
        if self.chain and node["kind"] == NodeKind.CHECKPOINT:
            sealed = unseal_checkpoint(node["payload"], "checkpoint")
            if sealed.content.sequence >= self.through:
                return {"act": self.chain[0], "behind": self.chain[1:], "payload": node["payload"]}
        if self.chain or (node["node_hash"] == self.wanted and act_of(entry) is not None):
            self.chain.append(node)
        return None


def check_act(document: Node, checkpoint: Checkpoint, where: str) -> str:
    """Return the node of an act once it lies under a checkpoint that was checked. Raises Invalid."""
    behind = document["behind"]
    if type(behind) is not list or len(behind) > MAX_BEHIND:
        raise Invalid("is no chain of acts", where, EDITED)
    before = ""
    clock = 0
    for number, node in enumerate([document["act"], *behind]):
        check_node(node, before, clock, checkpoint, f"{where} act {number}")
        before, clock = node["node_hash"], node["lamport"]
    if before != checkpoint.control_head:
        raise Invalid(f"checkpoint {checkpoint.sequence} covers another control chain", where, EDITED)
    if act_of({"node": document["act"]}) is None:
        raise Invalid("what is proved is no act of administration", where, EDITED)
    return str(document["act"]["node_hash"])


def check_node(node: Any, before: str, clock: int, checkpoint: Checkpoint, where: str) -> None:
    """Raise Invalid unless a node hashes to its name, is of the control chain, and stands on the one before it."""
    if type(node) is not dict:
        raise Invalid("is no node", where, EDITED)
    node = dict(sorted(node.items()))
    WHOLE.check(node, where)
    rest = {name: value for name, value in node.items() if name != "node_hash"}
    if hash_in(domains.NODE, record_bytes(rest)) != node["node_hash"]:
        raise Invalid(f"does not hash to its name {node['node_hash']}", where, EDITED)
    if (node["tenant"], node["session_id"]) != NO_SESSION or node["shard"] != checkpoint.shard:
        raise Invalid("is not of the control chain of this log", where, EDITED)
    if not clock < node["lamport"] < checkpoint.lamport:
        raise Invalid("stands at another place than between its neighbours", where, EDITED)
    if before and before not in node["parents"]:
        raise Invalid("does not stand on the act before it: one was left out", where, EDITED)
