"""Receipts in the order they became durable, for whoever may read them, with bounded work per request."""

from __future__ import annotations

from typing import Any, Protocol

import attrs

from actors.library import PAGE
from actors.stores.port import Journal
from helm.crypto.canonical import reread

MAX_SCAN = 20_000
"""Entries that one request may make us look at: a filter that admits nothing must not read a year (T4)."""

MAX_SCAN_BYTES = 64 * 1024 * 1024
"""Of entries that one request may make us read: callers choose how long theirs are (T4)."""

CARRIES_RECEIPT = b'"receipt":{'
"""In every row that carries one. Arguments may hold the same text: it only saves the reading of the others."""

Receipt = dict[str, Any]


@attrs.frozen(kw_only=True)
class Wanted:
    """Which receipts are asked for; "" is any. `tenant` is whose they may be at all, None for everyone's."""

    tenant: str | None
    session_id: str = ""
    verdict: str = ""
    reason_code: str = ""
    tool: str = ""

    def admits(self, receipt: Receipt) -> bool:
        """Tell whether a receipt is one of these."""
        if self.tenant is not None and receipt["tenant"] != self.tenant:
            return False
        asked = (
            ("session_id", self.session_id),
            ("verdict", self.verdict),
            ("reason_code", self.reason_code),
            ("tool", self.tool),
        )
        return all(receipt[member] == value for member, value in asked if value)

    def pick(self, body: bytes) -> Receipt | None:
        """Return the receipt that a row carries, None for a row of another kind or one that is not wanted."""
        if CARRIES_RECEIPT not in body:
            return None
        receipt: Receipt | None = reread(body)["beside"].get("receipt")
        return receipt if receipt is not None and self.admits(receipt) else None


class Picking(Protocol):
    """Who says what of a row is wanted."""

    def pick(self, body: bytes) -> Receipt | None:
        """Return it, None where there is nothing."""


@attrs.frozen(kw_only=True)
class Page:
    """Wanted receipts with their numbers, oldest first: all that there are among the entries `first` to `last`."""

    receipts: list[tuple[int, Receipt]] = attrs.field(repr=False)
    first: int
    last: int


async def receipts_after(journal: Journal, wanted: Picking, after: int, limit: int) -> Page:
    """Return the first `limit` receipts behind entry `after` that are wanted."""
    found: list[tuple[int, Receipt]] = []
    last, end, room = after, min(journal.head, after + MAX_SCAN), MAX_SCAN_BYTES
    while last < end and len(found) < limit and room > 0:
        for seq, body in await journal.read(last + 1, min(PAGE, end - last)):
            last = seq
            room -= len(body)
            receipt = wanted.pick(body)
            if receipt is not None:
                found.append((seq, receipt))
                if len(found) == limit:
                    break
    return Page(receipts=found, first=after + 1, last=last)


async def receipts_before(journal: Journal, wanted: Picking, before: int, limit: int) -> Page:
    """Return the last `limit` receipts ahead of entry `before` that are wanted."""
    found: list[tuple[int, Receipt]] = []
    first, end, room, step = before, max(1, before - MAX_SCAN), MAX_SCAN_BYTES, PAGE
    while first > end and len(found) < limit and room > 0:
        start = max(end, first - step)
        rows = await journal.read(start, first - start)
        room -= sum(len(body) for _, body in rows)
        if step > 1 and rows[-1][0] != first - 1:  # long rows: it ended before it came to where we are
            step = max(1, len(rows) // 2)
            continue
        step = min(2 * step, PAGE)
        for seq, body in reversed(rows):
            first = seq
            receipt = wanted.pick(body)
            if receipt is not None:
                found.append((seq, receipt))
                if len(found) == limit:
                    break
    return Page(receipts=found[::-1], first=first, last=max(0, before - 1))
