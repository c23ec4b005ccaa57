"""Reading receipts costs what one request may cost, however long the entries are that lie between them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import attrs

from actors.doors.browsing import MAX_SCAN_BYTES, Wanted, receipts_after, receipts_before
from actors.library import PAGE

ANY = Wanted(tenant=None)


@attrs.define
class LongRows:
    """A journal that gives no more than `most` bytes at once, but for the last row, and counts what it gave."""

    rows: list[bytes]
    most: int
    given: int = 0
    low_space: bool = False

    @property
    def head(self) -> int:
        return len(self.rows)

    async def append(
        self, rows: Sequence[bytes], meanwhile: Callable[[], None] | None = None, *, alone: bool = True
    ) -> int:
        raise NotImplementedError

    async def read(self, first: int, limit: int) -> list[tuple[int, bytes]]:
        page: list[tuple[int, bytes]] = []
        for seq in range(first, min(first + limit, self.head + 1)):
            page.append((seq, self.rows[seq - 1]))
            if sum(len(body) for _, body in page) > self.most:
                break
        self.given += sum(len(body) for _, body in page)
        return page

    async def aclose(self) -> None:
        pass


def row(seq: int, size: int = 0) -> bytes:
    """Return an entry that carries a receipt, and is as long as somebody's arguments."""
    receipt = {"tenant": "acme", "receipt_id": f"rcpt_{seq}"}
    return json.dumps({"beside": {"receipt": receipt}, "node": "x" * size}, separators=(",", ":")).encode()


async def test_pages_that_end_early_because_rows_are_long_skip_no_receipt() -> None:
    sizes = [0, 900, 0, 0, 5000, 1, 1, 1, 2000, 0] * 40
    rows = [row(seq, size) for seq, size in enumerate(sizes, 1)]
    every = [f"rcpt_{seq}" for seq in range(1, len(rows) + 1)]
    for most in (1, 1500, 10_000):
        ahead = await receipts_after(LongRows(rows, most), ANY, 0, 1000)
        back = await receipts_before(LongRows(rows, most), ANY, len(rows) + 1, 1000)
        assert [receipt["receipt_id"] for _, receipt in ahead.receipts] == every
        assert [receipt["receipt_id"] for _, receipt in back.receipts] == every


async def test_a_filter_that_admits_nothing_reads_no_journal_of_long_rows_to_its_end() -> None:
    nothing, page = Wanted(tenant="nobody"), 4 * 1024 * 1024
    rows = [row(1, page)] * (2 * PAGE)
    journal = LongRows(rows, page)
    ahead = await receipts_after(journal, nothing, 0, 1)
    assert journal.given <= MAX_SCAN_BYTES + 2 * page
    assert not ahead.receipts and 0 < ahead.last < journal.head
    journal.given = 0
    back = await receipts_before(journal, nothing, journal.head + 1, 1)
    assert journal.given <= MAX_SCAN_BYTES + 4 * page
    assert not back.receipts and 1 < back.first <= journal.head
