"""The appender: gives each event its place in the ProofGraph, and lets nothing pass that is not durable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, NoReturn

import attrs
import trio
import trio.testing

from actors.mailbox import Case, Control, Inbox
from actors.notary import Notary
from actors.process.idle import is_anything_runnable
from actors.stores.index import IdIndex
from actors.stores.port import Journal
from helm.contracts.errors import Broken
from helm.crypto.canonical import ordered_bytes
from helm.crypto.hashing import content_id
from helm.evidence.snapshot import SNAPSHOT
from helm.guardian.judgement import Judgement, intent_payload, refusal_payload
from helm.guardian.memory import RELEASING
from helm.proofgraph.checkpoint import Cause, SealedCheckpoint
from helm.proofgraph.graph import Graph
from helm.proofgraph.node import Draft, Node, NodeKind

APPEND_BATCH = 64
"""Entries of one commit. More would save nothing, and let the first of them wait longer; with half as many a call costs
4 us more, because each commit wakes the writer's thread and then every office once."""

INTENT, ATTESTATION, EFFECT = NodeKind.INTENT.value, NodeKind.ATTESTATION.value, NodeKind.EFFECT.value

GATHER_S = 0.002
"""How long a batch waits at most for others to join it: a busy loop must not starve the journal."""


@attrs.define
class Appender:
    """Takes intents from the guardian and outcomes from the signer, in one queue; one commit is in flight at a time,
    and the belt goes on meanwhile.

    An intent goes on to the executor, and an outcome to its caller, only once it is durable. A journal that fails
    once may have kept anything: the failure ends the kernel, nothing is retried.
    """

    graph: Graph
    journal: Journal
    index: IdIndex
    finish: Callable[[Case], None]
    settle: Callable[[], None]
    """Told when an event of the kernel's own is durable."""
    grants: Mapping[str, str]
    """The node that each approval was granted by: what relies on an approval stands on it."""
    notary: Notary

    async def run(self, inbox: Inbox[Case | Control], dispatch: Callable[[Case], None]) -> NoReturn:
        """Append whatever arrives, for ever."""
        while True:
            batch, gathered = Batch(), await gather(inbox)
            for item in gathered.items:
                batch.places.append((len(batch.rows), item))
                if isinstance(item, Control):
                    await self._obey(item, batch)
                else:
                    batch.rows.append(self.enter(item))
                    if self.notary.entered >= self.notary.due_at:
                        await self._take_checkpoint(batch, Cause.COUNT)
            first = self.journal.head
            if batch.rows:
                is_one = gathered.alone and len(gathered.items) == 1
                meanwhile = None if is_one else self.notary.keep_up
                first = await self.journal.append(batch.rows, meanwhile, alone=gathered.alone)
            self._publish(batch, first)
            for place, item in batch.places:
                self._release(item, first + place, dispatch)
            self.notary.keep_up()  # where nothing was done beside the disk: its caller goes on meanwhile

    async def _obey(self, item: Control, batch: Batch) -> None:
        """Put the rows of `item` into the batch, and behind them the checkpoint that it forces."""
        relies_on: tuple[str, ...] = ()
        if item.draft is not None:
            node = self.graph.append(item.draft)
            self.notary.note((item.draft.tenant, item.draft.session_id))
            item.lamport = node.lamport
            item.placed(node)
            batch.rows.append(row(node, *item.beside))
            relies_on = (node.node_hash,)
        if item.forces is not None:
            if relies_on or not self.notary.covers(self.graph):
                await self._take_checkpoint(batch, item.forces, relies_on)
            item.checkpoint = self.notary.latest

    async def _take_checkpoint(self, batch: Batch, cause: Cause, relies_on: tuple[str, ...] = ()) -> None:
        sealed, draft, beside = await self.notary.take(self.graph, cause)
        batch.checkpoints.append((len(batch.rows), sealed))
        batch.rows.append(row(self.graph.append(draft.but(relies_on=relies_on)), beside))

    def enter(self, item: Case) -> bytes:
        """Return the journal row of `item`, placed on the graph's edge."""
        judgement, session = item.judged(), item.call.session
        if item.sealed is None:
            relied = judgement.decision.content.approval_id
            relies_on = (self.grants[relied],) if relied else ()
            node = self.graph.append(_draft(item, INTENT, intent_payload(judgement), relies_on))
            self.notary.note(session, judgement.record.hash)
            item.intent_node = node.node_hash
            return row(node, b'"facts":' + judgement.facts)
        if not item.intent_node:
            node = self.graph.append(_draft(item, ATTESTATION, refusal_payload(judgement, item.sealed.receipt_hash)))
            self.notary.note(session, judgement.record.hash, item.sealed)
            return row(node, b'"facts":' + judgement.facts, b'"receipt":' + item.sealed.json)
        node = self.graph.append(_effect(item))
        self.notary.note(session, "", item.sealed)
        return row(node, *_beside_effect(item))

    def _publish(self, batch: Batch, first: int) -> None:
        """Let checkpoints that are durable now be seen."""
        for place, sealed in batch.checkpoints:
            note_checkpoint(self.index, sealed, first + place)
            self.notary.durable = sealed

    def _release(self, item: Case | Control, seq: int, dispatch: Callable[[Case], None]) -> None:
        if isinstance(item, Control):
            item.durable.set()
            self.settle()
        elif item.sealed is None:
            self._note_judgement(item.judged(), seq)
            dispatch(item)
        else:
            said = item.sealed.content
            note_receipt(self.index, said.tenant, said.session_id, said.lamport_clock, item.sealed.receipt_id, seq)
            if not item.intent_node:
                self._note_judgement(item.judged(), seq)
            elif item.claim and item.status not in RELEASING:
                self.index.note(item.claim, seq)
            self.finish(item)

    def _note_judgement(self, judgement: Judgement, seq: int) -> None:
        """Note where a record lies, and the relationships that were looked at for it."""
        self.index.note(judgement.record.id, seq)
        seen = judgement.decision.content.authz_snapshot_hash
        if seen:
            note_snapshot(self.index, seen, seq)


@attrs.define
class Batch:
    """What goes to the journal in one durable step, and where in it each item has its first row."""

    rows: list[bytes] = attrs.field(factory=list)
    places: list[tuple[int, Case | Control]] = attrs.field(factory=list)
    checkpoints: list[tuple[int, SealedCheckpoint]] = attrs.field(factory=list)


class Gathered(NamedTuple):
    """What goes into one batch. `alone`: nothing else can run until it is durable."""

    items: list[Case | Control]
    alone: bool


async def gather(inbox: Inbox[Case | Control]) -> Gathered:
    """Return the next batch: what waits, and what is still on its way here as long as anything else can run.

    A commit costs nearly the same for one row as for a full batch, so it waits until the loop has nothing better to do.
    A call alone waits for nobody, and its journal has nobody to make way for.
    """
    items = await inbox.batch(APPEND_BATCH)
    alone = not is_anything_runnable()
    if len(items) < APPEND_BATCH and not (alone and len(items) == 1):
        with trio.move_on_after(GATHER_S) as patience:
            await trio.testing.wait_all_tasks_blocked()
        alone = not patience.cancelled_caught
        items += inbox.take(APPEND_BATCH - len(items))
    return Gathered(items, alone)


def note_receipt(index: IdIndex, tenant: str, session_id: str, lamport_clock: int, receipt_id: str, seq: int) -> None:
    """Note where a receipt lies, by its id and by its place in its session."""
    index.note(receipt_id, seq)
    index.note(session_key(tenant, session_id, lamport_clock), seq)


def note_snapshot(index: IdIndex, snapshot_hash: str, seq: int) -> None:
    """Note where a relationship snapshot lies: where the last call stands that was decided with it."""
    index.note(content_id(SNAPSHOT, snapshot_hash), seq)


def note_checkpoint(index: IdIndex, sealed: SealedCheckpoint, seq: int) -> None:
    """Note where a checkpoint lies, by its id and by its number."""
    index.note(sealed.checkpoint_id, seq)
    index.note(checkpoint_key(sealed.content.sequence), seq)


def checkpoint_key(sequence: int) -> str:
    """Return the index key of a checkpoint: keys of all of them are neighbours, in the order of their numbers."""
    return f"k:{sequence:012d}"


def session_key(tenant: str, session_id: str, lamport_clock: int) -> str:
    """Return the index key of a session's receipt: keys of one session are neighbours, in clock order."""
    return f"s:{tenant}\x00{session_id}\x00{lamport_clock:012d}"


def row(node: Node, *beside: bytes) -> bytes:
    """Return the canonical bytes of one journal entry: the node, and beside it what the node's hashes bind.

    Each of `beside` is one canonical member, `"name":value`, in the order of the names.
    """
    return b"".join((b'{"beside":{', b",".join(beside), b'},"node":', node.json, b"}"))


def _draft(case: Case, kind: str, payload: bytes, relies_on: tuple[str, ...] = ()) -> Draft:
    call = case.call
    return Draft(kind, payload, call.tenant, call.session_id, call.principal, relies_on)


def _effect(case: Case) -> Draft:
    if case.sealed is None:
        raise Broken("an effect without a receipt")
    payload = ordered_bytes(
        {
            "intent_node": case.intent_node,
            "reason": case.reason,
            "receipt_hash": case.sealed.receipt_hash,
            "type": "EFFECT",
        }
    )
    return _draft(case, EFFECT, payload, (case.intent_node,))


def _beside_effect(case: Case) -> tuple[bytes, ...]:
    """Return the receipt, and an output that is evidence or that a retry under an idempotency key is to get again."""
    if case.sealed is None:
        raise Broken("an effect without a receipt")
    receipt = b'"receipt":' + case.sealed.json
    if (case.claim or case.is_kept) and case.output_json:
        return (b'"output":' + case.output_json, receipt)
    return (receipt,)
