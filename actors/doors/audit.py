"""The route on which an operator reads every act of administration."""

from __future__ import annotations

import attrs
from quart import Response

from actors.doors.desk import Desk, answer, query, whole_number
from actors.kernel import Kernel
from actors.library import PAGE
from actors.stores.port import Journal
from helm.crypto.canonical import reread
from helm.evidence.audit import OF_CONTROL, Act, act_of

MAX_LIMIT = 200
"""Acts in one answer."""

MAX_SCAN = 20_000
"""Entries that one request may make us look at (T4)."""


class AuditRoutes:
    """Reads of the control chain."""

    def __init__(self, kernel: Kernel, desk: Desk) -> None:
        self.kernel = kernel
        self.desk = desk

    async def browse(self) -> Response:
        """Answer with the acts behind entry `after`, oldest first; `next` is the cursor, null where all was read."""
        given = query()
        limit = max(1, whole_number(given, "limit", MAX_LIMIT, MAX_LIMIT))
        journal = self.kernel.parts.journal
        acts, last = await acts_after(journal, whole_number(given, "after", 0), limit)
        shown = [attrs.asdict(act, recurse=False) for act in acts]
        return answer(
            {
                "acts": shown,
                "log_id": self.kernel.parts.boot.log_id,
                "next": last if last < journal.head else None,
            }
        )


async def acts_after(journal: Journal, after: int, limit: int) -> tuple[list[Act], int]:
    """Return the first `limit` acts behind entry `after`, and the last entry that was looked at."""
    found: list[Act] = []
    last, end = after, min(journal.head, after + MAX_SCAN)
    while last < end and len(found) < limit:
        for seq, body in await journal.read(last + 1, min(PAGE, end - last)):
            last = seq
            act = act_of(reread(body)) if OF_CONTROL in body else None
            if act is not None:
                found.append(act)
                if len(found) == limit:
                    break
    return found, last
