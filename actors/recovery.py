"""Recovery: reads the journal back, verifies all of it, and finds what a crash left without an outcome."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from actors.appender import note_checkpoint, note_receipt, note_snapshot
from actors.claims import Claims
from actors.library import PAGE
from actors.mailbox import Case
from actors.stores.index import IdIndex
from actors.stores.port import Journal
from actors.surfaces import Watch
from helm.contracts.call import Source, ToolCall
from helm.contracts.errors import Invalid, Malformed
from helm.crypto.canonical import canonical, parse
from helm.evidence.refold import OpenIntent, Refold, Taken
from helm.executor.idempotency import claim_name
from helm.guardian.judgement import Judgement
from helm.guardian.memory import RELEASING

MAX_ENTRY_BYTES = 16 * 1024 * 1024
"""Largest entry read back: a policy of a thousand tools, or an argument and an output at their limits."""

Progress = Callable[[int, int], None]
"""Told (entries read, entries there) after each page."""


@attrs.define
class IndexNotes:
    """Heals the id index: notes again whatever it has not yet written down. Claims it notes all of."""

    index: IdIndex
    claims: Claims

    def note(self, taken: Taken, seq: int) -> None:
        """Note one entry's ids, unless the index has them."""
        claim = self._claimed(taken)
        if seq <= self.index.watermark:
            return
        if taken.record_id:
            self.index.note(taken.record_id, seq)
        if taken.authz_snapshot_hash:
            note_snapshot(self.index, taken.authz_snapshot_hash, seq)
        if taken.checkpoint is not None:
            note_checkpoint(self.index, taken.checkpoint, seq)
        if taken.receipt is None:
            return
        receipt = taken.receipt.content
        note_receipt(
            self.index, receipt.tenant, receipt.session_id, receipt.lamport_clock, taken.receipt.receipt_id, seq
        )
        if claim and receipt.status not in RELEASING:
            self.index.note(claim, seq)

    def note_open(self, intent: OpenIntent) -> None:
        """Note the claim of an intent that has no outcome yet: it will have one."""
        said = intent.decision.content
        if said.idempotency_key:
            self.claims.make(claim_name(said.tenant, said.principal, said.session_id, said.idempotency_key))

    def _claimed(self, taken: Taken) -> str:
        """Return the claim of an outcome, "" where it has none, and note that it was made."""
        if taken.receipt is None or not taken.idempotency_key:
            return ""
        said = taken.receipt.content
        claim = claim_name(said.tenant, said.principal, said.session_id, taken.idempotency_key)
        self.claims.make(claim)
        return claim


async def refold(
    journal: Journal,
    index: IdIndex,
    log_id: str,
    progress: Progress | None = None,
    watch: Watch | None = None,
    claims: Claims | None = None,
) -> Refold:
    """Return the verified state of the whole journal; raise Invalid naming the first entry that does not follow.

    `watch` is told of every entry, and what it was told of before must be what the entries come to. `claims` is told
    of every claim.
    """
    state, notes, watch = Refold(log_id), IndexNotes(index, claims or Claims()), watch or Watch()
    done = 0
    while done < journal.head:
        for seq, body in await journal.read(done + 1, PAGE):
            notes.note(state.take(read_entry(body, seq), f"journal entry {seq}"), seq)
            watch.look(state, seq)
            done = seq
        if progress is not None:
            progress(done, journal.head)
        await trio.lowlevel.checkpoint()
    if index.watermark > journal.head:  # asked last: a row that does not follow is named before rows that are gone
        what = f"the index is ahead of the journal: it knows of entry {index.watermark}, the last is {journal.head}"
        raise Invalid(what, "index.db", "the journal lost rows: restore it from a backup")
    watch.end()
    for intent in state.open_intents.values():
        notes.note_open(intent)
    return state


def read_entry(body: bytes, seq: int) -> dict[str, object]:
    """Return the entry of one row; raise Invalid unless it is one canonical object."""
    where = f"journal entry {seq}"
    try:
        entry = parse(body, max_bytes=MAX_ENTRY_BYTES, max_depth=MAX_DEPTH)
        if type(entry) is dict and canonical(entry, max_bytes=MAX_ENTRY_BYTES, max_depth=MAX_DEPTH) == body:
            return entry
    except Malformed as problem:
        raise Invalid(
            f"is not JSON: {problem}", where, "the journal was damaged: restore it from a backup"
        ) from problem
    raise Invalid("is not one canonical object", where, "the journal was changed: restore it from a backup")


MAX_DEPTH = 96
"""An entry holds arguments of depth 64, and a little more around them."""


def reopened(intent: OpenIntent) -> Case:
    """Return the case of an intent whose kernel ended, as far as its last words need it."""
    decision = intent.decision.content
    call = ToolCall(
        session_id=decision.session_id,
        tenant=decision.tenant,
        principal=decision.principal,
        tool=decision.tool,
        arguments=b"",
        args_hash=decision.args_hash,
        parsed=None,
        idempotency_key=decision.idempotency_key,
        source=Source(door=decision.door, transport=decision.transport),
    )
    judgement = Judgement(
        decision=intent.decision, record=intent.record, effect=intent.effect, facts=b"", rule=None, permit=None
    )
    claim = ""
    if decision.idempotency_key:
        claim = claim_name(decision.tenant, decision.principal, decision.session_id, decision.idempotency_key)
    return Case(call, claim=claim, judgement=judgement, intent_node=intent.node_hash)
