"""Routes on which the relationship snapshots are read that the kernel has decided with."""

from __future__ import annotations

from typing import Any

import attrs
from quart import Response

from actors.doors.browsing import receipts_before
from actors.doors.desk import Desk, answer, query, whole_number
from actors.doors.problem import Problem
from actors.kernel import Kernel
from helm.contracts.errors import Invalid
from helm.crypto.canonical import reread
from helm.evidence.snapshot import CARRIES_SNAPSHOT, snapshot_id_of, snapshot_of

MAX_LIMIT = 200
DEFAULT_LIMIT = 50


@attrs.frozen
class Snapshots:
    """Which rows are wanted: those of calls that were decided with a snapshot."""

    object: str = ""
    subject: str = ""

    def pick(self, body: bytes) -> dict[str, Any] | None:
        """Return the snapshot that a row carries, None for a row of another kind or one that is not wanted."""
        if CARRIES_SNAPSHOT not in body:
            return None
        told = snapshot_of(reread(body))
        if told is None or self.object not in ("", told["object"]) or self.subject not in ("", told["subject"]):
            return None
        return told


class SnapshotRoutes:
    """An admin key opens the routes: relationships are not of one tenant."""

    def __init__(self, kernel: Kernel, desk: Desk) -> None:
        self.kernel = kernel
        self.desk = desk

    async def browse(self) -> Response:
        """Answer with the latest snapshots that are wanted, or those ahead of the entry `before`."""
        given = query()
        limit = max(1, whole_number(given, "limit", DEFAULT_LIMIT, MAX_LIMIT))
        journal = self.kernel.parts.journal
        before = min(whole_number(given, "before", journal.head + 1), journal.head + 1)
        wanted = Snapshots(given.get("object", ""), given.get("subject", ""))
        page = await receipts_before(journal, wanted, before, limit)
        shown = [told for _, told in page.receipts]
        return answer({"before": page.first if page.first > 1 else None, "snapshots": shown})

    async def show(self, name: str) -> Response:
        """Answer with one snapshot, by its id or its hash."""
        query()
        try:
            seq = await self.kernel.library.find(snapshot_id_of(name))
        except Invalid as problem:
            raise Problem(status=400, detail=problem.what, place="snapshot") from problem
        told = None if seq is None else snapshot_of(await self.kernel.library.entry(seq))
        if told is None or name not in (told["snapshot_hash"], told["snapshot_id"]):
            raise Problem(status=404, detail="no call was decided with such a snapshot")
        return answer(told)
