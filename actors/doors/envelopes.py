"""Routes on which evidence is put into envelopes, by operators, and read by whose evidence it is."""

from __future__ import annotations

from typing import Final

from quart import Response

from actors.doors.credentials import tenant_of
from actors.doors.desk import Desk, answer, query, read_object, whole_number
from actors.doors.problem import Problem
from actors.evidence.envelopes import Kept
from actors.evidence.wrapping import Wrapping, may_see, wanted
from actors.kernel import Kernel
from helm.config import Config
from helm.contracts.errors import Invalid
from helm.evidence.envelopes.kinds import EnvelopeKind

ENVELOPES: Final = "/api/v1/evidence/envelopes"

MAX_LIMIT: Final = 100
"""Manifests in one answer."""


class EnvelopeRoutes:
    """A tenant reads the envelopes around its own receipts and packs, and around checkpoints; an operator all."""

    def __init__(self, kernel: Kernel, config: Config, desk: Desk) -> None:
        self.desk = desk
        self.wrapping = Wrapping(kernel, config)

    async def browse(self) -> Response:
        """Answer with the manifests behind the id `after`; `next` is the cursor, null at the end."""
        tenant, given = tenant_of(self.desk.caller()), query()
        limit = max(1, whole_number(given, "limit", MAX_LIMIT, MAX_LIMIT))
        try:
            page = await self.wrapping.page(given.get("after", ""), limit, tenant)
        except Invalid as problem:
            raise spoilt(problem) from problem
        return answer({"envelopes": [kept.manifest for kept in page.kept], "next": page.after})

    async def create(self) -> Response:
        """Sign an envelope around a receipt or checkpoint of this log, for an operator."""
        body = await read_object()
        named = wanted(body)
        if len(named) != 1:
            raise Problem(status=400, detail="name one receipt_id or one checkpoint", place="/")
        evidence = await self.wrapping.evidence(*named[0])
        if evidence is None:
            raise Problem(status=404, detail=f"no such {named[0][0]}")
        kind, experimental = EnvelopeKind(body["envelope"]), body.get("experimental", False)
        try:
            kept = await self.wrapping.create(kind, evidence, experimental=experimental)
        except Invalid as problem:
            detail = f"{problem.what} ({problem.hint})" if problem.hint else problem.what
            raise Problem(status=422, detail=detail, place="/") from problem
        return answer(kept.manifest, 201, {"location": f"{ENVELOPES}/{kept.name}"})

    async def show(self, envelope_id: str) -> Response:
        """Answer with one envelope and its manifest."""
        query()
        return answer((await self._find(envelope_id)).body())

    async def payload(self, envelope_id: str) -> Response:
        """Answer with what an envelope carries, byte for byte: JSON, whatever the envelope is."""
        query()
        return Response((await self._find(envelope_id)).envelope.payload, content_type="application/json")

    async def verify(self, envelope_id: str) -> Response:
        """Answer with what verifying it comes to, by this log's keys and against this log's evidence."""
        await read_object()
        return answer((await self.wrapping.verify(await self._find(envelope_id))).body())

    async def _find(self, envelope_id: str) -> Kept:
        tenant = tenant_of(self.desk.caller())
        try:
            kept = await self.wrapping.find(envelope_id)
        except Invalid as problem:
            raise spoilt(problem) from problem
        if kept is None or not may_see(tenant, kept.statement):
            raise Problem(status=404, detail="no such envelope")
        return kept


def spoilt(problem: Invalid) -> Problem:
    """Return the refusal for a file that is not what it is named; where it lies is for whoever runs the machine."""
    return Problem(status=409, detail=f"an envelope on this machine's disk was changed: {problem.what}")
