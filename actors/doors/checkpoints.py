"""Routes on which checkpoints are taken, read, verified, proved under and cosigned."""

from __future__ import annotations

from typing import Final

from quart import Response

from actors.checkpointing import Checkpointing
from actors.doors.desk import Desk, answer, query, read_object, whole_number
from actors.doors.problem import Problem
from actors.doors.receipts import may_read
from actors.kernel import Kernel
from helm.contracts.errors import Invalid
from helm.evidence.note import read_note
from helm.proofgraph.checkpoint import SealedCheckpoint

CHECKPOINTS: Final = "/api/v1/boundary/checkpoints"
PROOFS: Final = "/api/v1/boundary/proofs"

MAX_LIMIT: Final = 100
"""Checkpoints in one answer."""


class CheckpointRoutes:
    """Anyone with a key reads checkpoints: they name no tenant. A proof shows a receipt, and is its tenant's."""

    def __init__(self, kernel: Kernel, desk: Desk) -> None:
        self.kernel = kernel
        self.desk = desk
        self.checkpointing = Checkpointing(kernel)

    async def browse(self) -> Response:
        """Answer with the checkpoints behind number `after`, oldest first; `next` is the cursor, null at the end."""
        self.desk.caller()
        given = query()
        after, limit = whole_number(given, "after", 0), max(1, whole_number(given, "limit", MAX_LIMIT, MAX_LIMIT))
        found = await self.checkpointing.page(after, limit)
        last = found[-1].content.sequence if len(found) == limit else None
        return answer({"checkpoints": [await self.checkpointing.told(sealed) for sealed in found], "next": last})

    async def take(self) -> Response:
        """Take a checkpoint of everything so far, for an operator."""
        await read_object()
        sealed = await self.checkpointing.take()
        location = {"location": f"{CHECKPOINTS}/{sealed.checkpoint_id}"}
        return answer(await self.checkpointing.told(sealed), status=201, headers=location)

    async def show(self, name: str) -> Response:
        """Answer with one checkpoint, by id or by number."""
        self.desk.caller()
        query()
        return answer(await self.checkpointing.told(await self._find(name)))

    async def note(self, name: str) -> Response:
        """Answer with its signed note, as witnesses and log tools take it."""
        self.desk.caller()
        query()
        return Response(self.checkpointing.note(await self._find(name)), content_type="text/plain; charset=utf-8")

    async def verify(self, name: str) -> Response:
        """Answer with what verifying it against the rows since the one before it comes to."""
        self.desk.caller()
        await read_object()
        sealed = await self._find(name)
        checks = await self.checkpointing.verify(sealed)
        return answer(
            {
                "checkpoint_hash": sealed.checkpoint_hash,
                "checkpoint_id": sealed.checkpoint_id,
                "checks": [{"detail": wrong, "name": name, "ok": not wrong} for name, wrong in checks],
                "verified": not any(wrong for _, wrong in checks),
            }
        )

    async def grown(self, name: str) -> Response:
        """Answer with the proof that its trees begin with those of the checkpoint `since`, by number."""
        self.desk.caller()
        given = query()
        sealed = await self._find(name)
        old = whole_number(given, "since", max(1, sealed.content.sequence - 1))
        try:
            return answer(await self.checkpointing.grown(old, sealed.content.sequence))
        except Invalid as problem:
            raise Problem(status=422, detail=str(problem), place="?since") from problem

    async def prove(self, wanted: str) -> Response:
        """Answer with the proof of a receipt or boundary record under the first checkpoint that covers it."""
        key = self.desk.caller()
        query()
        tenant = await self.checkpointing.tenant_of(wanted)
        if tenant is None or not may_read(key, tenant):
            raise Problem(status=404, detail="no such receipt or record")
        try:
            document = await self.checkpointing.prove(wanted)
        except Invalid as problem:
            raise Problem(status=422, detail=str(problem), place="/") from problem
        if document is None:
            raise Problem(status=404, detail="no checkpoint covers it yet")
        return answer(document)

    async def cosign(self, name: str) -> Response:
        """Take the cosignatures in a note, from an operator; what counts is a known witness's signature."""
        body = await read_object()
        sealed = await self._find(name)
        if type(body["note"]) is not str:
            raise Problem(status=400, detail="expected a text", place="/note")
        try:
            taken = await self.checkpointing.cosign(sealed, read_note(body["note"].encode()))
        except Invalid as problem:
            raise Problem(status=422, detail=str(problem), place="/note") from problem
        return answer(await self.checkpointing.told(sealed) | {"taken": taken})

    async def _find(self, name: str) -> SealedCheckpoint:
        sealed = await self.checkpointing.find(name)
        if sealed is None:
            raise Problem(status=404, detail="no such checkpoint")
        return sealed
