"""Routes on which one sees which calls wait for a human, and until when."""

from __future__ import annotations

from heapq import nsmallest

import attrs
from quart import Response

from actors.doors.credentials import tenant_of
from actors.doors.desk import Desk, answer, query
from actors.doors.problem import Problem
from actors.doors.receipts import may_read
from actors.kernel import Kernel

MAX_SHOWN = 200
"""Approvals in one answer, the latest requests first."""


class ApprovalRoutes:
    """Reads of the parked approvals."""

    def __init__(self, kernel: Kernel, desk: Desk) -> None:
        self.kernel = kernel
        self.desk = desk

    async def browse(self) -> Response:
        """Answer with the approvals of the caller's tenant, in one state where one is asked for."""
        tenant = tenant_of(self.desk.caller())
        state = query("state").get("state", "")
        asked_for = (
            parked
            for parked in self.kernel.memory.approvals.parked.values()
            if tenant in (None, parked.tenant) and state in ("", parked.state)
        )
        # Callers choose how many there are: all of them are looked at, but only these are put in order (T4).
        shown = nsmallest(MAX_SHOWN, asked_for, key=lambda parked: (-parked.requested_at_ms, parked.approval_id))
        return answer({"approvals": [attrs.asdict(parked) for parked in shown]})

    async def show(self, approval_id: str) -> Response:
        """Answer with one approval."""
        key = self.desk.caller()
        query()
        parked = self.kernel.memory.approvals.parked.get(approval_id)
        if parked is None or not may_read(key, parked.tenant):
            raise Problem(status=404, detail="no such approval")
        return answer(attrs.asdict(parked))
