"""Check the checkpoints: one signed chain over the pack's calls, which shows where each session stood at its end."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.evidence.checkpoint_proofs import HEAD, PROOFS
from helm.evidence.checkpoints import Checkpoints, cosigned_in
from helm.evidence.control import OF_APPROVAL
from helm.evidence.layout import NODES
from helm.evidence.lines import read_json, read_lines
from helm.evidence.part import PartNode
from helm.evidence.payloads import Shape
from helm.evidence.reading import CHANGED, Reading
from helm.proofgraph.checkpoint import Checkpoint
from helm.proofgraph.graph import NO_SESSION, SessionKey
from helm.proofgraph.merkle import Head, ProofInvalid, verify_inclusion, verify_several
from helm.proofgraph.node import NodeKind
from helm.proofgraph.trees import NO_RECEIPT, head_leaf, read_peaks, record_leaf

LINE = Shape({"receipts": dict, "records": dict, "sequence": int})
STANDING = {"sequence": int, "standing": list}
PLACE = Shape({"index": int, "path": list})


Stand = tuple[str, int, str]
NOWHERE: Stand = ("", *NO_RECEIPT)


@attrs.define
class Covered:
    """What of the sessions lies between two checkpoints: leaves in the order of their nodes."""

    receipts: list[bytes] = attrs.field(factory=list)
    records: list[bytes] = attrs.field(factory=list)


class Covering:
    """Checkpoints are one signed chain over these calls; no session was cut off before the last of them."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.proofs = read_lines(reading.members.get(PROOFS, b""), PROOFS)
        self.chain = Checkpoints()
        self.control_head = ""
        self.covered = Covered()
        self.stands: dict[SessionKey, Stand] = {}
        """Each session's last node, and the clock and signature of its last receipt."""
        self.moved: set[SessionKey] = set()
        """The sessions that stand elsewhere than at the last checkpoint."""
        self.stood: dict[SessionKey, Stand] = {}
        """Where they stood then."""

    def take(self, node: PartNode) -> None:
        """Take the next node. Raises Invalid."""
        told = self.reading.told
        if told is None:
            self._take_event(node)
        elif node.kind == NodeKind.INTENT:
            self.chain.check_relied(told.decision.content.approval_id, node.where)
        if node.session == NO_SESSION:
            self.control_head = node.node_hash
        else:
            self._take_own(node)

    def _take_event(self, node: PartNode) -> None:
        if node.kind == NodeKind.CHECKPOINT:
            self._take_checkpoint(node)
        elif node.payload.get("type") in OF_APPROVAL:
            self.chain.note_approval(node.payload)
        elif node.payload.get("type") == "CHECKPOINT_COSIGNED":
            self.chain.cosign(cosigned_in(node.payload, node.where), self.reading.registry, node.lamport, node.where)

    def _take_own(self, node: PartNode) -> None:
        """Take a node of the session: what it brings lies under the next checkpoint."""
        reading, (_, clock, signature) = self.reading, self.stands.get(node.session, NOWHERE)
        if reading.told is not None and node.kind != NodeKind.EFFECT:
            self.covered.records.append(record_leaf(reading.told.record.hash))
        if reading.sealed is not None:
            self.covered.receipts.append(reading.leaf_hash)
            clock, signature = reading.sealed.content.lamport_clock, reading.sealed.signature
        elif reading.leaf is not None:
            self.covered.receipts.append(reading.leaf_hash)
            clock, signature = reading.leaf.lamport_clock, reading.leaf.signature
        self.stands[node.session] = (node.node_hash, clock, signature)
        self.moved.add(node.session)

    def _take_checkpoint(self, node: PartNode) -> None:
        if node.session != NO_SESSION:
            raise Invalid("a checkpoint in a session", node.where, CHANGED)
        before = self.chain.latest
        shard = self.reading.manifest.cover.shard
        sealed = self.chain.take(node.payload, self.reading.registry, node.lamport, shard, node.where)
        if sealed.content.control_head != self.control_head:
            raise Invalid("the checkpoint covers another control chain than the pack's", node.where, CHANGED)
        if self.covered.receipts or self.covered.records:
            self._check_covered(sealed.content, None if before is None else before.content)
        self.reading.checkpoint = sealed.content
        self.covered = Covered()
        self.stood.update({session: self.stands[session] for session in self.moved})
        self.moved.clear()

    def _check_covered(self, checkpoint: Checkpoint, before: Checkpoint | None) -> None:
        line, where = next(self.proofs, ({}, PROOFS))
        LINE.check(line, where)
        if line["sequence"] != checkpoint.sequence:
            what = f"the proofs under checkpoint {checkpoint.sequence} are missing"
            raise Invalid(what, where, CHANGED)
        receipts = Head(size=checkpoint.receipts_size, root=root_of(checkpoint.receipts_root))
        records = Head(size=checkpoint.records_size, root=root_of(checkpoint.records_root))
        old = (0, 0) if before is None else (before.receipts_size, before.records_size)
        check_several(line["receipts"], self.covered.receipts, old[0], receipts, where)
        check_several(line["records"], self.covered.records, old[1], records, where)

    def end(self) -> None:
        """Raise Invalid unless the pack proves where its sessions stood at its last checkpoint, and nothing else."""
        self._check_standing()
        pinned = self.reading.root.checkpoint
        if pinned and pinned not in self.chain.texts:
            hint = "export it with --through, or the log is not the one whose checkpoint this was"
            raise Invalid(f"the pinned checkpoint {pinned} is not in the pack", NODES, hint)

    def _check_standing(self) -> None:
        if next(self.proofs, None) is not None:
            raise Invalid("proves what is under none of its checkpoints", PROOFS, CHANGED)
        raw, latest = self.reading.members.get(HEAD), self.chain.latest
        if latest is None or not self.stood:
            if raw is not None:
                raise Invalid("proves where no session stood", HEAD, CHANGED)
            return
        said = read_json(raw or b"", HEAD)
        if {name: type(value) for name, value in said.items()} != STANDING:
            raise Invalid("does not say where sessions stood", HEAD, CHANGED)
        if said["sequence"] != latest.content.sequence or len(said["standing"]) != len(self.stood):
            raise Invalid("is not about the sessions at the last checkpoint of the pack", HEAD, CHANGED)
        heads = Head(size=latest.content.heads_size, root=root_of(latest.content.heads_root))
        for (session, stand), place in zip(sorted(self.stood.items()), said["standing"], strict=True):
            check_stood(session, stand, place, heads)


def check_stood(session: SessionKey, stand: Stand, place: JSONValue, heads: Head) -> None:
    """Raise Invalid unless a session stood at a checkpoint where its nodes in the pack say that it did."""
    PLACE.check(place, HEAD)
    try:
        verify_inclusion(head_leaf(session, *stand), place["index"], hashes(place["path"], HEAD), heads)
    except ProofInvalid as problem:
        what = f"session {session[1]} stood elsewhere at the last checkpoint: {problem}"
        raise Invalid(what, HEAD, "calls were left out, or added") from problem


def check_several(proof: dict[str, JSONValue], leaves: list[bytes], old_size: int, head: Head, where: str) -> None:
    """Raise Invalid unless these leaves, in this order, came into the tree after its first `old_size` leaves."""
    if [*proof] != ["indexes", "path"] or type(proof["indexes"]) is not list or type(proof["path"]) is not list:
        raise Invalid("is no proof of several leaves", where, CHANGED)
    if not all(type(number) is int for number in proof["indexes"]):
        raise Invalid("is no proof of several leaves", where, CHANGED)
    indexes = proof["indexes"]
    if len(indexes) != len(leaves) or indexes != sorted(set(indexes)) or not all(old_size <= one for one in indexes):
        raise Invalid("is a proof of other leaves than those of the pack", where, CHANGED)
    try:
        verify_several(dict(zip(indexes, leaves, strict=True)), hashes(proof["path"], where), head)
    except ProofInvalid as problem:
        raise Invalid(f"a call is not under its checkpoint: {problem}", where, CHANGED) from problem


def hashes(texts: Sequence[JSONValue], where: str) -> tuple[bytes, ...]:
    """Return the hashes of a proof. Raises Invalid."""
    try:
        return read_peaks(texts)
    except (AttributeError, TypeError, ValueError) as problem:
        raise Invalid("a proof that is not of written hashes", where, CHANGED) from problem


def root_of(text: str) -> bytes:
    """Return a root that a signed checkpoint states. Raises Invalid."""
    return hashes([text], PROOFS)[0]
