"""The notary: keeps the log's trees as rows are entered, and takes the checkpoints that are due."""

from __future__ import annotations

import sys
from functools import partial
from typing import Final

import attrs

from actors.keys.hsm import sign_aside
from actors.process.clock import Clock
from helm.crypto.ed25519 import Signer as Pen
from helm.evidence.checkpoints import Checkpoints, Occasion, checkpoint_of, payload_of, peaks_of, seal
from helm.evidence.leaf import receipt_leaves
from helm.proofgraph.checkpoint import Cause, SealedCheckpoint
from helm.proofgraph.graph import Graph, SessionKey
from helm.proofgraph.node import Draft, NodeKind
from helm.proofgraph.trees import Trees, record_leaves
from helm.receipts.chain import SealedReceipt

MUCH: Final = 64
"""Nodes that wait to be put into the trees: 0.15 ms of hashing. That ends before the writer's thread has made the
digest of a batch, and wants the lock of the interpreter again."""

Entered = tuple[SessionKey, str, SealedReceipt | None]
"""Whose node it is, the record that it binds or "", and the receipt that it binds."""


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
    due_at: int = attrs.field(init=False)
    """How many receipts make the next checkpoint due by count."""
    entered: int = attrs.field(init=False)
    """How many receipts were entered, in the trees or waiting for them."""
    _waiting: list[Entered] = attrs.field(factory=list, init=False, repr=False)
    """What was entered and is not in the trees yet: no call waits for their hashes."""

    def __attrs_post_init__(self) -> None:
        self.entered = self.trees.receipts.size
        self._expect()

    def _expect(self) -> None:
        covered = 0 if self.latest is None else self.latest.content.receipts_size
        self.due_at = covered + self.every if self.every else sys.maxsize

    @property
    def latest(self) -> SealedCheckpoint | None:
        """The last checkpoint that was entered."""
        return self.chain.latest

    def note(self, session: SessionKey, record_hash: str = "", sealed: SealedReceipt | None = None) -> None:
        """Take note of a node that was entered, of the record and of the receipt in it."""
        self._waiting.append((session, record_hash, sealed))
        if sealed is not None:
            self.entered += 1

    def bring_up(self) -> None:
        """Put everything that was entered into the trees."""
        trees, records, receipts = self.trees, list[str](), list[SealedReceipt]()
        for session, record_hash, sealed in self._waiting:
            trees.note_node(session)
            if record_hash:
                records.append(record_hash)
            if sealed is not None:
                receipts.append(sealed)
                trees.heads.receipts[session] = (sealed.content.lamport_clock, sealed.signature)
        self._waiting.clear()
        trees.records.add(*record_leaves(records))
        trees.receipts.add(*receipt_leaves(receipts))

    def keep_up(self) -> None:
        """Put what was entered into the trees once it is much: many nodes at a time are hashed in half the time."""
        if len(self._waiting) >= MUCH:
            self.bring_up()

    def covers(self, graph: Graph) -> bool:
        """Tell whether nothing was entered since the last checkpoint."""
        return self.latest is not None and self.latest.content.lamport == graph.lamport

    async def take(self, graph: Graph, cause: Cause) -> tuple[SealedCheckpoint, Draft, bytes]:
        """Sign a checkpoint of everything entered; return it, its node, and what stands beside it."""
        self.bring_up()
        occasion = Occasion(
            cause=cause.value, issued_at_ms=self.clock.now_ms(), key_id=self.pen.key_id, log_id=self.log_id
        )
        checkpoint = checkpoint_of(self.trees, graph, self.latest, occasion)
        sealed = await sign_aside(self.pen, partial(seal, checkpoint, self.pen))
        self.chain.extend(sealed)
        self._expect()
        draft = Draft(NodeKind.CHECKPOINT.value, payload_of(sealed))
        return sealed, draft, b'"peaks":' + peaks_of(self.trees)
