"""Check the receipts: their names, who signed them, and the chain that they are."""

from __future__ import annotations

from collections.abc import Sequence

from helm.contracts.errors import Invalid
from helm.contracts.receipt import RECEIPT_VERSION
from helm.evidence.at_once import read_receipt
from helm.evidence.check_condensed import Leaves
from helm.evidence.layout import RECEIPTS, SNAPSHOT
from helm.evidence.lines import read_json
from helm.evidence.part import PartNode
from helm.evidence.proven import keys_named_in, prove_read
from helm.evidence.reading import CHANGED, Reading
from helm.evidence.signed import check_signed
from helm.evidence.unseal import unseal_receipt
from helm.proofgraph.node import NodeKind
from helm.receipts.chain import SealedReceipt, SessionChains


class Receipts:
    """Every receipt earns its id, is bound by one node, and signed by a key that counted at that node."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.lines = reading.lines(RECEIPTS, self._read)
        self.leaves = Leaves(reading)
        self.named = keys_named_in(reading.members.get(SNAPSHOT, b""))
        self.read: list[SealedReceipt | None] = []
        """The receipts of the shard at hand that are in their one form."""
        self.keys: Sequence[str] = ()
        """The keys that were found to have signed them."""

    def _read(self, path: str, lines: list[bytes]) -> None:
        self.read = [*map(read_receipt, lines)]
        self.keys = self.reading.proven(path) or prove_read(self.read, self.named)

    def take(self, node: PartNode) -> None:
        """Check the receipt that the next node binds."""
        reading = self.reading
        if node.kind != NodeKind.EFFECT and not node.is_refusal:
            return
        raw, receipt_hash = self.lines.take(), node.payload["receipt_hash"]
        reading.receipt_at = self.lines.where
        if raw:
            self._take_receipt(raw, node.lamport, receipt_hash)
        else:
            reading.leaf = self.leaves.take(receipt_hash)
            reading.counts.condensed += 1
            if reading.keep:
                reading.condensed[receipt_hash] = reading.leaf

    def _take_receipt(self, raw: bytes, lamport: int, receipt_hash: str) -> None:
        reading, where = self.reading, self.reading.receipt_at
        sealed = self.read[self.lines.at - 1] or unseal_receipt(read_json(raw, where), where)
        if sealed.content.version != RECEIPT_VERSION:
            raise Invalid(f"is of version {sealed.content.version!r}, not {RECEIPT_VERSION}", where, CHANGED)
        if sealed.receipt_hash != receipt_hash:
            raise Invalid("is not the receipt that its node binds", where, CHANGED)
        proven = self.keys[self.lines.at - 1] if self.lines.at <= len(self.keys) else ""
        check_signed(sealed, reading.registry, lamport, where, proven)
        self._check_pinned(sealed)
        reading.counts.receipts += 1
        reading.sealed = sealed
        if reading.keep:
            reading.sealed = without_bytes(sealed)
            reading.receipts[sealed.receipt_hash] = reading.sealed

    def _check_pinned(self, sealed: SealedReceipt) -> None:
        """Raise Invalid where the caller pinned another execution key than signed."""
        pinned = self.reading.root.execution_key
        if pinned and self.reading.registry.keys[sealed.content.key_id].public_key.hex != pinned:
            hint = "ask whoever runs the log whether its key was rotated"
            raise Invalid(f"receipt {sealed.receipt_id} is not signed by the pinned key", RECEIPTS, hint)

    def end(self) -> None:
        """Refuse receipts of no node, and a pinned key that signed nothing."""
        self.lines.check_end()
        self.leaves.check_end()
        if self.reading.root.execution_key and not self.reading.counts.receipts:
            raise Invalid("no receipt is there that the pinned key could vouch for", RECEIPTS, "pin the log_id")


def without_bytes(sealed: SealedReceipt) -> SealedReceipt:
    """Return a receipt that was checked, and its names: its bytes stand in the pack, which may hold very many."""
    return SealedReceipt(sealed.content, sealed.receipt_id, sealed.signature, sealed.receipt_hash, b"")


class Chain:
    """The receipts of a session are one dense chain from GENESIS on, each over the signature of the one before it."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.sessions = reading.sessions
        self.chains = SessionChains()

    def take(self, node: PartNode) -> None:
        """Link the receipt that the next node binds."""
        sealed, leaf = self.reading.sealed, self.reading.leaf
        if sealed is not None:
            if (sealed.content.tenant, sealed.content.session_id) not in self.sessions:
                raise Invalid("is a receipt of another session", self.reading.receipt_at, CHANGED)
            self.chains.extend(sealed.content, sealed.signature, self.reading.receipt_at)
        elif leaf is not None:
            session = (leaf.tenant, leaf.session)
            self.chains.link(session, leaf.lamport_clock, leaf.prev_hash, leaf.signature, self.reading.receipt_at)

    def end(self) -> None:
        """Nothing is left."""
