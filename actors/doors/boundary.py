"""Routes on which the boundary is asked how it stands, what it can do, and what it has decided."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trio
from quart import Response

from actors.boundary import capabilities, standing_of
from actors.checkpointing import Checkpointing
from actors.conforming.believing import level_held
from actors.doors.browsing import receipts_after, receipts_before
from actors.doors.credentials import tenant_of
from actors.doors.desk import Desk, answer, query, read_object, whole_number
from actors.doors.problem import Problem
from actors.doors.receipts import may_read
from actors.kernel import Kernel
from actors.stores.which import POSTGRESQL
from helm.config import Config
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.evidence.record_check import Held, verify_record
from helm.surfaces.boundary import moment, status
from helm.surfaces.records import OfDecision, WantedRecords

MAX_LIMIT = 200
"""Records in one answer."""

DEFAULT_LIMIT = 50


class BoundaryRoutes:
    """Any key opens the routes; a tenant's sees its own tenant's records."""

    def __init__(self, kernel: Kernel, config: Config, desk: Desk) -> None:
        self.kernel = kernel
        self.store = POSTGRESQL if config.database_url else config.journal
        self.desk = desk
        self.checkpointing = Checkpointing(kernel)

    async def status(self) -> Response:
        """Answer with how the boundary stands now."""
        self.desk.caller()
        query()
        return answer(status(standing_of(self.kernel, self.store)))

    async def capabilities(self) -> Response:
        """Answer with what the boundary does, and where it is asked for."""
        self.desk.caller()
        query()
        parts = self.kernel.parts
        where, registry, head = Path(parts.sensor.data_dir), parts.state.registry, parts.journal.head
        level = await trio.to_thread.run_sync(level_held, where, registry, head)
        return answer({"capabilities": capabilities(level)})

    async def browse(self) -> Response:
        """Answer with the latest records that are wanted, or those behind `after` or ahead of `before`."""
        tenant = tenant_of(self.desk.caller())
        given = query()
        wanted = WantedRecords.of(tenant, given)
        limit = max(1, whole_number(given, "limit", DEFAULT_LIMIT, MAX_LIMIT))
        if "receipt_id" in given:
            return answer({"after": 0, "before": None, "records": await self._of_receipt(wanted, given["receipt_id"])})
        journal = self.kernel.parts.journal
        if "after" in given and "before" in given:
            raise Problem(status=400, detail="either after or before", place="?after")
        if "after" in given:
            page = await receipts_after(journal, wanted, whole_number(given, "after", 0), limit)
        else:
            before = min(whole_number(given, "before", journal.head + 1), journal.head + 1)
            page = await receipts_before(journal, wanted, before, limit)
        return answer(
            {
                "after": page.last,
                "before": page.first if page.first > 1 else None,
                "records": [record for _, record in page.receipts],
            }
        )

    async def verify(self, record_id: str) -> Response:
        """Answer with what checking one record comes to, against all that stands beside it in the log."""
        key = self.desk.caller()
        await read_object()
        library = self.kernel.library
        seq = await library.find(record_id) if record_id.startswith("rec_") else None
        entry = None if seq is None else await library.entry(seq)
        record = None if entry is None else entry["node"]["payload"].get("record")
        if seq is None or entry is None or record is None or not may_read(key, record["tenant"]):
            raise Problem(status=404, detail="no such record")
        page = await receipts_after(self.kernel.parts.journal, OfDecision(record["decision_id"]), seq - 1, 1)
        sealed: dict[str, Any] = page.receipts[0][1] if page.receipts else {"lamport": 0, "receipt": None}
        held = Held(
            record=record,
            decision=entry["node"]["payload"].get("decision"),
            receipt=sealed["receipt"],
            lamport=sealed["lamport"],
            inclusion=await self._proof(record_id),
        )
        told = verify_record(held, self.kernel.parts.state.registry)
        return answer(told | {"offline": False, "verified_at": moment(self.kernel.parts.clock.now_ms())})

    async def _proof(self, record_id: str) -> dict[str, JSONValue] | None:
        try:
            return await self.checkpointing.prove(record_id)
        except Invalid:  # too many rows lie between two checkpoints: it stands without this proof
            return None

    async def _of_receipt(self, wanted: WantedRecords, receipt_id: str) -> list[JSONValue]:
        story = await self.kernel.library.story(receipt_id)
        record = None if story is None else story["record"]
        return [record] if record is not None and wanted.admits(record) else []
