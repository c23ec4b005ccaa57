"""Receipts as they become durable, each with the number to go on from; for HTTP they are server-sent events."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import attrs
import trio

from actors.doors.browsing import Receipt, Wanted, receipts_after
from actors.doors.problem import overloaded
from actors.kernel import Kernel
from helm.crypto.canonical import record_bytes

MAX_TAILS = 16
"""Streams at once: each looks at every entry that is written (T4)."""

MAX_OF_TENANT = 8
"""Of these, for any one tenant, and as many for operators: nobody takes the last one from the others (T4)."""

LONGEST_S = 600.0
"""After this a stream ends, and its reader asks again with the number of the last event it saw."""

POLL_S = 0.25
"""How often the journal's head is looked at."""

QUIET_S = 15.0
"""After so long without an event a comment is sent: a client that has left is noticed by it."""

PAGE = 64


@attrs.frozen
class Seen:
    """How far the journal was looked at, and the wanted receipt that stands there, if one does."""

    seq: int
    receipt: Receipt | None = None


@attrs.frozen
class Reader:
    """Who follows receipts: of which tenant, "" for an operator, and whether what they came with counts still."""

    tenant: str
    counts: Callable[[], bool]


@attrs.define(eq=False)
class Tails:
    """The open streams."""

    kernel: Kernel
    open: Counter[str] = attrs.field(factory=Counter)
    """By tenant, "" for operators."""

    def watch(self, wanted: Wanted, after: int, reader: Reader) -> AsyncGenerator[Seen, None]:
        """Return what becomes durable behind entry `after`, while its reader counts. Raises Problem for no place.

        The first one, and any quiet one, is a number.
        """
        if not self._has_room(reader.tenant):
            raise overloaded("too many streams are open already")
        return self._seen(wanted, after, reader)

    def _has_room(self, tenant: str) -> bool:
        return self.open.total() < MAX_TAILS and self.open[tenant] < MAX_OF_TENANT

    async def _seen(self, wanted: Wanted, after: int, reader: Reader) -> AsyncGenerator[Seen, None]:
        if not self._has_room(reader.tenant):  # many asked at once, and each was told that there is room
            return
        self.open[reader.tenant] += 1
        try:
            ends_at = trio.current_time() + LONGEST_S
            yield Seen(after)
            while trio.current_time() < ends_at and not self._is_over(reader):
                page = await receipts_after(self.kernel.parts.journal, wanted, after, PAGE)
                after = page.last
                for seq, receipt in page.receipts:
                    if self._is_over(reader):
                        return
                    yield Seen(seq, receipt)
                if not page.receipts and not await self._news(after, reader):
                    yield Seen(after)
        finally:
            self.open[reader.tenant] -= 1
            self.open += Counter()  # forgets whoever has none

    def _is_over(self, reader: Reader) -> bool:
        return self.kernel.stopping or not reader.counts()

    async def _news(self, after: int, reader: Reader) -> bool:
        """Wait until something is written behind entry `after`, or for as long as a stream may be quiet."""
        with trio.move_on_after(QUIET_S):
            while self.kernel.parts.journal.head <= after and not self._is_over(reader):  # noqa: ASYNC110 - rings no bell
                await trio.sleep(POLL_S)
            return True
        return False


async def server_sent(seen: AsyncGenerator[Seen, None]) -> AsyncGenerator[bytes, None]:
    """Yield what was seen as server-sent events; a number alone keeps the connection, and its reader's place."""
    is_first = True
    async with aclosing(seen):
        async for one in seen:
            if one.receipt is not None:
                yield b"id: %d\nevent: receipt\ndata: %b\n\n" % (one.seq, record_bytes(one.receipt))
            else:
                yield b": receipts\n\n" if is_first else b"id: %d\n\n: quiet\n\n" % one.seq
            is_first = False
