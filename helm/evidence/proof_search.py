"""Finding a proof: read the log from one checkpoint on, and stop at the next that covers what is looked for.

The subtrees that stand beside the first checkpoint are all that is needed of the rows below it.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from helm.contracts.form import JSONValue
from helm.evidence.checkpoint_document import CONSISTENCY, INCLUSION, signed_document
from helm.evidence.checkpoint_proofs import hash_leaf, leaf_of
from helm.evidence.checkpoints import unseal_checkpoint
from helm.proofgraph.checkpoint import SealedCheckpoint
from helm.proofgraph.merkle import Frontier, Span
from helm.proofgraph.node import NodeKind
from helm.proofgraph.trees import read_peaks, record_leaf, written

NONE_YET: Final = Frontier()


@attrs.define
class Since:
    """Both trees since a checkpoint, or since the log's first row."""

    receipts: Span = attrs.field(factory=lambda: Span(NONE_YET, []))
    records: Span = attrs.field(factory=lambda: Span(NONE_YET, []))

    @classmethod
    def after(cls, entry: dict[str, Any]) -> Since:
        """Return the trees as of the entry of a checkpoint, from what stands beside it."""
        said, peaks = entry["node"]["payload"]["checkpoint"], entry["beside"]["peaks"]
        receipts = Frontier(size=said["receipts_size"], peaks=read_peaks(peaks["receipts"]))
        records = Frontier(size=said["records_size"], peaks=read_peaks(peaks["records"]))
        return cls(Span(receipts, []), Span(records, []))

    def take(self, entry: dict[str, Any]) -> None:
        """Take the leaves of the next entry."""
        node, receipt = entry["node"], entry["beside"].get("receipt")
        if "record" in node["payload"]:
            self.records.leaves.append(record_leaf(node["payload"]["record"]["record_hash"]))
        if receipt is not None:
            self.receipts.leaves.append(hash_leaf(leaf_of(receipt, node["payload"]["receipt_hash"])))


@attrs.define
class InclusionSearch:
    """Looks for one receipt or record, by id. Feed entries, in order, to `take` until it returns the document."""

    wanted: str
    since: Since = attrs.field(factory=Since)
    found: tuple[str, int, dict[str, JSONValue]] | None = None
    """receipt or record, its number, and its body."""

    def take(self, entry: dict[str, Any]) -> dict[str, JSONValue] | None:
        """Take the next entry; return the document at the checkpoint that covers what is wanted."""
        node, receipt = entry["node"], entry["beside"].get("receipt")
        if node["kind"] == NodeKind.CHECKPOINT:
            return self._at(entry)
        record = node["payload"].get("record")
        if record is not None and record["record_id"] == self.wanted:
            self.found = ("record", len(self.since.records), record)
        if receipt is not None and receipt["receipt_id"] == self.wanted:
            self.found = ("receipt", len(self.since.receipts), receipt)
        self.since.take(entry)
        return None

    def _at(self, entry: dict[str, Any]) -> dict[str, JSONValue] | None:
        if self.found is None:
            self.since = Since.after(entry)
            return None
        kind, index, body = self.found
        span = self.since.receipts if kind == "receipt" else self.since.records
        sealed = unseal_checkpoint(entry["node"]["payload"], "checkpoint")
        return {
            "index": index,
            "path": [written(one) for one in span.inclusion(index)],
            kind: body,
            "under": signed_document(sealed),
            "version": INCLUSION,
        }


@attrs.define
class ConsistencySearch:
    """Follows the log from one checkpoint to another, by number. Feed entries from the first one's on to `take`."""

    old: int
    new: int
    since: Since = attrs.field(factory=Since)
    begun: SealedCheckpoint | None = None

    def take(self, entry: dict[str, Any]) -> dict[str, JSONValue] | None:
        """Take the next entry; return the document at the later checkpoint."""
        if entry["node"]["kind"] != NodeKind.CHECKPOINT:
            if self.begun is not None:
                self.since.take(entry)
            return None
        sealed = unseal_checkpoint(entry["node"]["payload"], "checkpoint")
        if sealed.content.sequence == self.old:
            self.begun, self.since = sealed, Since.after(entry)
        if sealed.content.sequence != self.new or self.begun is None:
            return None
        return {
            "from": signed_document(self.begun),
            "receipts": [written(one) for one in self.since.receipts.consistency()],
            "records": [written(one) for one in self.since.records.consistency()],
            "to": signed_document(sealed),
            "version": CONSISTENCY,
        }
