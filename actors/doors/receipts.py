"""Routes on which receipts and boundary records are read: a tenant's own, or all of them for an operator."""

from __future__ import annotations

from functools import partial

from quart import Response, request

from actors.doors.browsing import Wanted, receipts_after, receipts_before
from actors.doors.credentials import tenant_of
from actors.doors.desk import Desk, answer, heading, query, whole_number
from actors.doors.problem import Problem
from actors.doors.tail import Reader, Tails, server_sent
from actors.kernel import Kernel
from actors.keys.bearer import BearerKey
from helm.contracts.form import JSONValue

MAX_LIMIT = 200
"""Receipts in one answer: a page of half a megabyte."""

DEFAULT_LIMIT = 50
FILTERS = ("reason_code", "session_id", "tenant", "tool", "verdict")


class ReceiptRoutes:
    """Reads of what is sealed. Another tenant's receipt and one that never was look the same."""

    def __init__(self, kernel: Kernel, desk: Desk, tails: Tails) -> None:
        self.kernel = kernel
        self.desk = desk
        self.tails = tails

    async def browse(self) -> Response:
        """Answer with the latest receipts that are wanted, or those behind `after` or ahead of `before`."""
        wanted, given = self._wanted("after", "before", "limit")
        limit = max(1, whole_number(given, "limit", DEFAULT_LIMIT, MAX_LIMIT))
        journal = self.kernel.parts.journal
        if "after" in given and "before" in given:
            raise Problem(status=400, detail="either after or before", place="?after")
        if "after" in given:
            page = await receipts_after(journal, wanted, whole_number(given, "after", 0), limit)
        else:
            before = min(whole_number(given, "before", journal.head + 1), journal.head + 1)
            page = await receipts_before(journal, wanted, before, limit)
        members: dict[str, JSONValue] = {
            "after": page.last,
            "before": page.first if page.first > 1 else None,
            "receipts": [receipt for _, receipt in page.receipts],
        }
        return answer(members)

    async def show(self, receipt_id: str) -> Response:
        """Answer with one receipt and its story: decision, record, reason."""
        key = self.desk.caller()
        query()
        story = await self.kernel.library.story(receipt_id)
        if story is None or not may_read(key, story["receipt"]["tenant"]):
            raise Problem(status=404, detail="no such receipt")
        return answer(story)

    async def record(self, record_id: str) -> Response:
        """Answer with one boundary record."""
        key = self.desk.caller()
        query()
        record = await self.kernel.library.record(record_id)
        if record is None or not may_read(key, record["tenant"]):
            raise Problem(status=404, detail="no such record")
        return answer(record)

    async def follow(self) -> Response:
        """Answer with a stream of the wanted receipts as they become durable (server-sent events)."""
        wanted, given = self._wanted("after")
        key = self.desk.caller()
        last_seen = request.headers.get("Last-Event-ID")
        if last_seen is not None:
            given = {"after": last_seen}
        after = whole_number(given, "after", self.kernel.parts.journal.head)
        reader = Reader(key.tenant, partial(self.desk.who.counts, key))
        seen = self.tails.watch(wanted, after, reader)
        response = Response(server_sent(seen), content_type="text/event-stream")
        response.timeout = None  # the stream bounds itself
        return response

    def _wanted(self, *others: str) -> tuple[Wanted, dict[str, str]]:
        """Return what this caller asks for and may see, and the other parameters."""
        key = self.desk.caller()
        heading()
        given = query()
        tenant = tenant_of(key)
        asked = given.get("tenant") or None
        if tenant is not None and asked not in (None, tenant):
            raise Problem(status=403, detail="a tenant's key reads its own tenant", place="?tenant")
        names = {name: given[name] for name in FILTERS if name in given and name != "tenant"}
        return Wanted(tenant=tenant or asked, **names), given


def may_read(key: BearerKey, tenant: str) -> bool:
    """Tell whether a key opens what belongs to `tenant`."""
    return tenant_of(key) in (None, tenant)
