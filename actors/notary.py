"""The notary: keeps the log's trees as rows are entered, and takes the checkpoints that are due."""

from __future__ import annotations

from functools import partial

import attrs

from actors.clock import Clock
from actors.hsm import sign_aside
from helm.crypto.ed25519 import Signer as Pen
from helm.evidence.checkpoints import Checkpoints, Occasion, checkpoint_of, payload_of, peaks_of, seal
from helm.evidence.leaf import receipt_leaf
from helm.proofgraph.checkpoint import Cause, SealedCheckpoint
from helm.proofgraph.graph import Graph, SessionKey
from helm.proofgraph.node import Draft, NodeKind
from helm.proofgraph.trees import Trees
from helm.receipts.chain import SealedReceipt


@attrs.define
class Notary:
    """Speaks of rows that are entered already, in a row behind them: none of them can be lost without it.

    What it has signed is told to nobody before that row is durable.
    """

    pen: Pen = attrs.field(repr=False)
    log_id: str
    clock: Clock
    trees: Trees
    chain: Checkpoints
    """The checkpoints that were entered, up to the last."""
    every: int
    """Receipts between two checkpoints, 0 for none by count."""
    durable: SealedCheckpoint | None = None
    """The last checkpoint that anyone may see."""

    @property
    def latest(self) -> SealedCheckpoint | None:
        """The last checkpoint that was entered."""
        return self.chain.latest

    def note_receipt(self, session: SessionKey, sealed: SealedReceipt) -> None:
        """Take note of a receipt that was entered."""
        self.trees.note_receipt(session, receipt_leaf(sealed), sealed.content.lamport_clock, sealed.signature)

    def is_due(self) -> bool:
        """Tell whether so many receipts have come that a checkpoint is due."""
        covered = 0 if self.latest is None else self.latest.content.receipts_size
        return 0 < self.every <= self.trees.receipts.size - covered

    def covers(self, graph: Graph) -> bool:
        """Tell whether nothing was entered since the last checkpoint."""
        return self.latest is not None and self.latest.content.lamport == graph.lamport

    async def take(self, graph: Graph, cause: Cause) -> tuple[SealedCheckpoint, Draft, bytes]:
        """Sign a checkpoint of everything entered; return it, its node, and what stands beside it."""
        occasion = Occasion(
            cause=cause.value, issued_at_ms=self.clock.now_ms(), key_id=self.pen.key_id, log_id=self.log_id
        )
        checkpoint = checkpoint_of(self.trees, graph, self.latest, occasion)
        sealed = await sign_aside(self.pen, partial(seal, checkpoint, self.pen))
        self.chain.extend(sealed)
        draft = Draft(NodeKind.CHECKPOINT.value, payload_of(sealed))
        return sealed, draft, b'"peaks":' + peaks_of(self.trees)
