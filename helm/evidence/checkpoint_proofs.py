"""What a pack proves by checkpoints: its calls lie under their roots, and no session was cut off before the last.

The log is read once, in order. Only the leaves since the last checkpoint are held: the complete subtrees before it are
all that a proof needs besides.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.crypto import domains
from helm.crypto.canonical import record_bytes
from helm.proofgraph.graph import NO_SESSION, SessionKey
from helm.proofgraph.merkle import Frontier, Span, leaf_hash
from helm.proofgraph.node import NodeKind
from helm.proofgraph.trees import Heads, record_leaf, written

PROOFS: Final = "checkpoints/proofs.jsonl"
HEAD: Final = "checkpoints/head.json"

OF_CHECKPOINTS: Final = frozenset({PROOFS, HEAD})
"""What a pack holds as far as a checkpoint covers its session; the check of checkpoints says whether it must."""

LEAF_MEMBERS: Final = ("lamport_clock", "log_id", "prev_hash", "risk_tier", "signature", "tenant")


def leaf_of(receipt: dict[str, JSONValue], receipt_hash: str) -> dict[str, JSONValue]:
    """Return the leaf of a signed receipt that is read as an object; its node binds `receipt_hash`."""
    said = {name: receipt[name] for name in LEAF_MEMBERS}
    return dict(sorted((said | {"body_hash": receipt_hash, "session": receipt["session_id"]}).items()))


def hash_leaf(leaf: dict[str, JSONValue]) -> bytes:
    """Return the hash of a receipt's leaf."""
    return leaf_hash(domains.LEAF + record_bytes(leaf))


@attrs.define
class Growing:
    """One tree from the last checkpoint on, and which of its new leaves are the sessions' own."""

    span: Span = attrs.field(factory=lambda: Span(Frontier(), []))
    own: list[int] = attrs.field(factory=list)

    def add(self, leaf: bytes, *, own: bool) -> None:
        """Take the next leaf."""
        if own:
            self.own.append(len(self.span))
        self.span.leaves.append(leaf)

    def close(self) -> dict[str, JSONValue]:
        """Return the proof of the session's leaves at a checkpoint, and go on behind it."""
        proof = {"indexes": self.own, "path": [written(one) for one in self.span.several(self.own)]}
        self.span, self.own = Span(self.span.frontier.extend(self.span.leaves), []), []
        return proof


@attrs.define
class Proving:
    """The proofs of some sessions, as many as `sessions` names by then. Feed every entry, in order, to `take`."""

    sessions: set[SessionKey]
    receipts: Growing = attrs.field(factory=Growing)
    records: Growing = attrs.field(factory=Growing)
    heads: Heads = attrs.field(factory=Heads)
    nodes: dict[SessionKey, str] = attrs.field(factory=dict, repr=False)
    lines: list[tuple[int, bytes]] = attrs.field(factory=list, repr=False)
    """(lamport of the checkpoint, line of proofs) of every checkpoint that covers new calls of the session."""
    standing: list[tuple[int, bytes]] = attrs.field(factory=list, repr=False)
    """(lamport of the checkpoint, where the sessions stood then) of every checkpoint since the last node of any."""
    closed: tuple[int, int] | None = None
    """(lamport, sequence) of the last checkpoint, as long as nobody needed to know where the sessions stood then."""

    def take(self, entry: dict[str, Any]) -> None:
        """Take the next entry of the log. Raises KeyError and TypeError for one that no kernel writes."""
        node, beside = entry["node"], entry["beside"]
        session = (node["tenant"], node["session_id"])
        if node["kind"] == NodeKind.CHECKPOINT:
            self._close(node["lamport"], node["payload"]["checkpoint"])
        elif session != NO_SESSION:
            own = session in self.sessions
            self.nodes[session] = node["node_hash"]
            self.heads.touched[session] = None
            if "record" in node["payload"]:
                self.records.add(record_leaf(node["payload"]["record"]["record_hash"]), own=own)
            if "receipt" in beside:
                receipt = beside["receipt"]
                self.receipts.add(hash_leaf(leaf_of(receipt, node["payload"]["receipt_hash"])), own=own)
                self.heads.receipts[session] = (receipt["lamport_clock"], receipt["signature"])

    def _close(self, lamport: int, checkpoint: dict[str, JSONValue]) -> None:
        sizes = checkpoint["receipts_size"], checkpoint["records_size"]
        if sizes != (len(self.receipts.span), len(self.records.span)):
            raise Invalid("a checkpoint covers another log than this", f"lamport {lamport}", "restore the journal")
        if self.sessions.isdisjoint(self.heads.touched):
            self._stand()
        else:
            self.standing.clear()
        self.heads.bring_up(self.nodes)
        has_own = bool(self.receipts.own or self.records.own)
        proofs = {"receipts": self.receipts.close(), "records": self.records.close()}
        if has_own:
            self.lines.append((lamport, record_bytes(proofs | {"sequence": checkpoint["sequence"]})))
        self.closed = (lamport, checkpoint["sequence"])

    def _stand(self) -> None:
        """Say where the sessions stood at the last checkpoint, which the tree of heads still is."""
        numbers = [self.heads.numbers[one] for one in sorted(self.sessions) if one in self.heads.numbers]
        if self.closed is None or not numbers:
            return
        paths = [[written(one) for one in self.heads.tree.inclusion(number)] for number in numbers]
        stood = [{"index": number, "path": path} for number, path in zip(numbers, paths, strict=True)]
        lamport, sequence = self.closed
        self.standing.append((lamport, record_bytes({"sequence": sequence, "standing": stood})))
        self.closed = None

    def members(self, upto: int) -> Iterator[tuple[str, bytes]]:
        """Yield the files of a pack whose last node is at lamport `upto`; none where no checkpoint covers it."""
        lines = [line for lamport, line in self.lines if lamport <= upto]
        if lines:
            yield PROOFS, b"".join(line + b"\n" for line in lines)
        self._stand()
        standing = [line for lamport, line in self.standing if lamport <= upto]
        if standing:
            yield HEAD, standing[-1]
