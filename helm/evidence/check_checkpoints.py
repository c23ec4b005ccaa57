"""Check the checkpoints of the log: signed, chained, and before whatever relied on an override that forced one."""

from __future__ import annotations

from helm.contracts.errors import Invalid
from helm.evidence.checkpoints import Checkpoints
from helm.evidence.control import OF_APPROVAL
from helm.evidence.part import PartNode
from helm.evidence.reading import CHANGED, Reading
from helm.proofgraph.graph import NO_SESSION
from helm.proofgraph.node import NodeKind


def check_checkpoints(reading: Reading) -> None:
    """Checkpoints are one signed chain, and no call relied on an override that none of them covers."""
    chain, control_head = Checkpoints(), ""
    relied = {
        told.node.node_hash: told.decision.content.approval_id
        for told in reading.calls
        if told.node.kind == NodeKind.INTENT
    }
    for node in reading.nodes:
        if node.kind == NodeKind.CHECKPOINT:
            take_checkpoint(chain, node, control_head, reading)
        elif node.payload.get("type") in OF_APPROVAL:
            chain.note_approval(node.payload)
        elif node.node_hash in relied:
            chain.check_relied(relied[node.node_hash], node.where)
        if node.session == NO_SESSION:
            control_head = node.node_hash


def take_checkpoint(chain: Checkpoints, node: PartNode, control_head: str, reading: Reading) -> None:
    """Take the next checkpoint. Raises Invalid where it does not follow, or speaks of another control chain."""
    if node.session != NO_SESSION:
        raise Invalid("a checkpoint in a session", node.where, CHANGED)
    sealed = chain.take(node.payload, reading.registry, node.lamport, reading.manifest.cover.shard, node.where)
    if sealed.content.control_head != control_head:
        raise Invalid("the checkpoint covers another control chain than the pack's", node.where, CHANGED)
