"""What a kernel does about checkpoints for whoever asks: takes one, shows them, finds proofs, takes cosignatures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import attrs

from actors.appender import checkpoint_key
from actors.commands.checkpoints import TakeCheckpoint, TakeCosignature
from actors.kernel import Kernel
from actors.library import PAGE
from helm.contracts.errors import Broken, Invalid
from helm.contracts.form import JSONValue
from helm.crypto.canonical import reread
from helm.evidence.checkpoint_document import check_grown, signed_document
from helm.evidence.checkpoints import Cosigned, check_noted, unseal_checkpoint
from helm.evidence.note import Cosignature, Note, cosignature_in, log_line, note_text, witness_line, witness_of
from helm.evidence.proof_search import ConsistencySearch, InclusionSearch, Since
from helm.proofgraph.checkpoint import Cause, SealedCheckpoint, check_follows, check_signed
from helm.proofgraph.trees import written

MAX_SCAN: Final = 50_000
"""Rows that one request for a proof may make us read (T4): more than lie between two checkpoints as a rule."""

FAR = "walk from checkpoint to checkpoint, or ask the data directory: `helm checkpoint prove`"

Entry = dict[str, Any]


@attrs.frozen(eq=False)
class Checkpointing:
    """One kernel's checkpoints, of which only durable ones are seen."""

    kernel: Kernel

    async def take(self) -> SealedCheckpoint:
        """Have a checkpoint taken of everything so far; where nothing is new, return the last."""
        control = await self.kernel.command(TakeCheckpoint(Cause.DEMAND))
        if control is None or control.checkpoint is None:
            raise Broken("a checkpoint was asked for, and none came")
        return control.checkpoint

    async def find(self, name: str) -> SealedCheckpoint | None:
        """Return the checkpoint of that id, or of that number; None where there is none."""
        entry = await self._entry(name)
        return None if entry is None else unseal_checkpoint(entry["node"]["payload"], name)

    async def page(self, after: int, limit: int) -> list[SealedCheckpoint]:
        """Return the durable checkpoints behind number `after`, oldest first, at most so many."""
        last = self._last()
        found = [await self.find(str(number)) for number in range(after + 1, min(after + limit, last) + 1)]
        return [sealed for sealed in found if sealed is not None]

    async def told(self, sealed: SealedCheckpoint) -> dict[str, JSONValue]:
        """Return a checkpoint as it is shown: the document, its names, and the note with all who signed it."""
        return signed_document(sealed) | {
            "checkpoint_hash": sealed.checkpoint_hash,
            "checkpoint_id": sealed.checkpoint_id,
            "note": self.note(sealed),
        }

    def note(self, sealed: SealedCheckpoint) -> str:
        """Return the signed note, the log's line first and then the witnesses'."""
        registry, chain = self.kernel.parts.state.registry, self.kernel.notary.chain
        if registry is None:
            raise Broken("a checkpoint before any key")
        own = log_line(sealed.content, registry.keys[sealed.content.key_id].public_key.hex, sealed.note_signature)
        lines = [
            witness_line(
                Cosignature(name=one.name, at_s=one.cosigned_at_s, signature=one.signature),
                registry.keys[one.key_id].public_key.hex,
            )
            for one in chain.cosignatures.get(sealed.checkpoint_hash, ())
        ]
        return "".join((note_text(sealed.content), "\n", own, *lines))

    async def verify(self, sealed: SealedCheckpoint) -> list[tuple[str, str]]:
        """Check a checkpoint against the one before it and the rows between; return each check and what is wrong."""
        before = await self._before(sealed)
        checks = (
            ("signed by the log's key", self._check_signed),
            ("follows the one before it", self._check_follows),
            ("its trees grew from the one before it by the rows between", self._check_grown),
        )
        found = []
        for name, check in checks:
            try:
                await check(sealed, before)
                found.append((name, ""))
            except Invalid as problem:
                found.append((name, problem.what))
        return found

    async def _check_signed(self, sealed: SealedCheckpoint, _: SealedCheckpoint | None) -> None:
        check_signed(sealed, self.kernel.parts.state.registry, "signature")
        check_noted(sealed, self.kernel.parts.state.registry, "note")

    async def _check_follows(self, sealed: SealedCheckpoint, before: SealedCheckpoint | None) -> None:
        check_follows(sealed.content, before, "chain")

    async def _check_grown(self, sealed: SealedCheckpoint, before: SealedCheckpoint | None) -> None:
        """Make both trees anew from the rows between, and have them prove that they began with the old ones."""
        old = 0 if before is None else before.content.sequence
        since = await self._since(old)
        async for entry in self._rows_between(old, sealed.content.sequence):
            since.take(entry)
        said = sealed.content
        receipts, records = since.receipts.head(), since.records.head()
        found = (receipts.size, written(receipts.root), records.size, written(records.root))
        if found != (said.receipts_size, said.receipts_root, said.records_size, said.records_root):
            raise Invalid("its rows come to other trees", "trees", "the journal was changed: restore it from a backup")
        if before is not None:
            proofs = {"receipts": since.receipts.consistency(), "records": since.records.consistency()}
            check_grown(before.content, said, proofs)

    async def tenant_of(self, wanted: str) -> str | None:
        """Return whose receipt or record this is, None where there is none."""
        seq = await self.kernel.library.find(wanted) if wanted.startswith(("rcpt_", "rec_")) else None
        if seq is None:
            return None
        return str((await self.kernel.library.entry(seq))["node"]["tenant"])

    async def prove(self, wanted: str) -> dict[str, JSONValue] | None:
        """Return the proof of a receipt or record, by id, under the first checkpoint that covers it; None for none yet.

        Raises Invalid where too many rows lie between two checkpoints.
        """
        seq = await self.kernel.library.find(wanted)
        if seq is None:
            return None
        covering = await self._covering(seq)
        if covering is None:
            return None
        search = InclusionSearch(wanted, await self._since(covering - 1))
        async for entry in self._rows_between(covering - 1, covering):
            search.take(entry)
        return search.take(await self._needed(str(covering)))

    async def grown(self, old: int, new: int) -> dict[str, JSONValue]:
        """Return the proof that the trees of number `new` begin with those of `old`. Raises Invalid."""
        if old > new:
            raise Invalid(f"{old} does not come before {new}", "checkpoints", "name the earlier one first")
        search = ConsistencySearch(old, new)
        found = search.take(await self._needed(str(old)))
        async for entry in self._rows_between(old, new):
            search.take(entry)
        found = search.take(await self._needed(str(new))) or found
        if found is None:
            raise Broken("two checkpoints, and no proof between them")
        return found

    async def cosign(self, sealed: SealedCheckpoint, note: Note) -> int:
        """Take every line of a note that a known witness signed; return how many counted. Raises Invalid."""
        if note.text != note_text(sealed.content):
            raise Invalid("the note is not that of the checkpoint", "note", "sign the note as it was shown")
        registry, chain, taken = self.kernel.parts.state.registry, self.kernel.notary.chain, 0
        for line in note.lines:
            found = cosignature_in(line)
            key = None if registry is None else witness_of(line, registry)
            if found is None or key is None:
                continue  # a line by nobody whom the registry knows says nothing (c2sp.org/signed-note)
            said = Cosigned(
                checkpoint_hash=sealed.checkpoint_hash,
                cosigned_at_s=found.at_s,
                key_id=key.key_id,
                name=found.name,
                signature=found.signature,
            )
            await self.kernel.command(TakeCosignature(said, chain, registry))
            taken += 1
        return taken

    def _last(self) -> int:
        durable = self.kernel.notary.durable
        return 0 if durable is None else durable.content.sequence

    async def _entry(self, name: str) -> Entry | None:
        number = int(name) if name.isascii() and name.isdecimal() and len(name) < 16 else 0
        seq = await self.kernel.library.find(checkpoint_key(number) if number else name)
        if seq is None or not (number or name.startswith("ckpt_")):
            return None
        return await self.kernel.library.entry(seq)

    async def _needed(self, name: str) -> Entry:
        entry = await self._entry(name)
        if entry is None:
            raise Invalid(f"there is no checkpoint {name}", "checkpoints", "`helm checkpoint list` shows them")
        return entry

    async def _before(self, sealed: SealedCheckpoint) -> SealedCheckpoint | None:
        return await self.find(str(sealed.content.sequence - 1)) if sealed.content.sequence > 1 else None

    async def _since(self, number: int) -> Since:
        """Return the trees as of checkpoint `number`, or of the beginning."""
        return Since.after(await self._needed(str(number))) if number else Since()

    async def _covering(self, seq: int) -> int | None:
        """Return the number of the first checkpoint behind row `seq`: numbers and rows rise together."""
        low, high = 1, self._last() + 1
        while low < high:
            middle = (low + high) // 2
            if await self._row_of(middle) > seq:
                high = middle
            else:
                low = middle + 1
        return low if low <= self._last() else None

    async def _row_of(self, number: int) -> int:
        if number == 0:
            return 0
        seq = await self.kernel.library.find(checkpoint_key(number))
        if seq is None:
            raise Broken(f"checkpoint {number} is not in the index")
        return seq

    async def _rows_between(self, old: int, new: int) -> AsyncIterator[Entry]:
        """Yield the entries between two checkpoints. Raises Invalid where there are too many."""
        first, last = await self._row_of(old), await self._row_of(new)
        if last - first > MAX_SCAN:
            raise Invalid(f"{last - first} rows lie between checkpoints {old} and {new}", "proof", FAR)
        done = first
        while done < last - 1:
            for seq, body in await self.kernel.parts.journal.read(done + 1, min(PAGE, last - 1 - done)):
                done = seq
                yield reread(body)
