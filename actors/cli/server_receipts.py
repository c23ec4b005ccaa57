"""The receipts that a running kernel shows to the holder of a key."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

import attrs

from actors.cli.receipt_source import LONGEST, RECEIPT_ID, Object, Wanted, digits_of
from actors.cli.server import API, Server, read

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
        last_seen = ""
        while True:
            headers = {"Last-Event-ID": last_seen} if last_seen else {}
            with self.server.exchange("GET", f"{RECEIPTS}/tail?{urlencode(given)}", None, headers) as response:
                if response.status != 200:
                    read(response).check()
                for event_id, data in events(response):
                    last_seen = event_id
                    if data:
                        tell(json.loads(data))


def events(lines: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """Yield (id, data) of each server-sent event, as far as HELM sends them: one line of data, or none."""
    last_id = data = ""
    for raw in lines:
        name, _, value = raw.decode().rstrip("\r\n").partition(": ")
        if name == "id":
            last_id = value
        elif name == "data":
            data = value
        elif not name and last_id:
            yield last_id, data
            data = ""


def query_of(wanted: Wanted) -> dict[str, str]:
    return {"tenant": wanted.tenant, "session_id": wanted.session, "verdict": wanted.verdict}
