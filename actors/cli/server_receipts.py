"""The receipts that a running kernel shows to the holder of a key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from actors.cli.receipt_source import LONGEST, RECEIPT_ID, Object, Wanted, digits_of
from actors.cli.server import API, Server

PAGE = 200
"""The most that a kernel puts into one answer."""

RECEIPTS = f"{API}/receipts"


@attrs.frozen
class ServerReceipts:
    """One kernel as a source of receipts. A tenant's key shows its own tenant's, an admin key all."""

    server: Server

    @property
    def where(self) -> str:
        """The kernel's URL."""
        return self.server.url

    def latest(self, wanted: Wanted, limit: int) -> list[Object]:
        """Return the last receipts that are wanted, oldest first. Raises Failed."""
        found: list[Object] = []
        before: int | str | None = ""
        while before is not None and len(found) < limit:
            query = {**query_of(wanted), "limit": min(PAGE, limit - len(found)), "before": before}
            page: Any = self.server.get(RECEIPTS, query)
            found = page["receipts"] + found
            before = page["before"]
        return found

    def find(self, receipt_id: str) -> Object | None:
        """Return the story of one receipt, named in full, None where there is none. Raises Invalid, Failed."""
        found: Object | None = self.server.get(f"{RECEIPTS}/{RECEIPT_ID}{digits_of(receipt_id, LONGEST)}", {})
        return found

    def follow(self, wanted: Wanted, tell: Callable[[Object], None]) -> None:
        """Tell of the wanted receipts as the kernel sends them: over a stream, over HTTP where it has none.

        What ends is taken up again. Raises Failed.
        """
        from actors.cli.server_stream import follow_stream

        given = {name: value for name, value in query_of(wanted).items() if value}
        if not follow_stream(self.server, given, tell):
            self.follow_events(given, tell)

    def follow_events(self, given: Mapping[str, str], tell: Callable[[Object], None]) -> None:
        """Tell of receipts as server-sent events; a response that ends is taken up again. Raises Failed."""
        with self.server.client() as client:
            for event in client.tail(**given):
                tell(dict(event.receipt))


def query_of(wanted: Wanted) -> dict[str, str]:
    return {"tenant": wanted.tenant, "session_id": wanted.session, "verdict": wanted.verdict}
