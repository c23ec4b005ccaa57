"""Where receipts are read: here in the journal of a data directory, or from a running kernel over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import attrs

from actors.cli.bar import bar
from actors.stores.glance import Glance, glance
from helm.contracts.errors import Invalid
from helm.crypto.canonical import reread
from helm.database import Database

PAGE = 256
"""Rows read at a time: a kernel that tidies its journal never waits for more."""

POLL_S = 0.2
"""How often a followed journal is looked at: another process's commit rings no bell."""

RECEIPT_ID = "rcpt_"
SHORTEST, LONGEST = 8, 32
"""Digits of an id that are enough to look for, as tables show them, and all of them."""

DIGITS = frozenset("0123456789abcdef")

Object = dict[str, Any]


@attrs.frozen(kw_only=True)
class Wanted:
    """Which receipts are asked for; "" is any."""

    tenant: str = ""
    session: str = ""
    verdict: str = ""

    def admits(self, receipt: Object) -> bool:
        """Tell whether a receipt is one of these."""
        asked = (("tenant", self.tenant), ("session_id", self.session), ("verdict", self.verdict))
        return all(receipt[member] == value for member, value in asked if value)


class ReceiptSource(Protocol):
    """Something that has receipts. `where` says which, for whoever reads the answer."""

    @property
    def where(self) -> str:
        """What is read."""

    def latest(self, wanted: Wanted, limit: int) -> list[Object]:
        """Return the last receipts that are wanted, oldest first."""

    def find(self, receipt_id: str) -> Object | None:
        """Return {receipt, decision, record} of one receipt, None where there is none."""

    def follow(self, wanted: Wanted, tell: Callable[[Object], None]) -> None:
        """Tell of the wanted receipts as they become durable, for ever."""


@attrs.frozen
class JournalReceipts:
    """The receipts of a data directory, read without asking a kernel and without disturbing one."""

    at: Path | Database

    @property
    def where(self) -> str:
        """The journal's file, or its database."""
        return str(self.at)

    def latest(self, wanted: Wanted, limit: int) -> list[Object]:
        """Return the last receipts that are wanted, oldest first. Raises Invalid."""
        found: list[Object] = []
        with glance(self.at) as journal:
            for _, body in backwards(journal):
                receipt = receipt_in(body)
                if receipt is not None and wanted.admits(receipt):
                    found.append(receipt)
                    if len(found) == limit:
                        break
        return found[::-1]

    def find(self, receipt_id: str) -> Object | None:
        """Return the story of the one receipt that the id, or its first digits, names. Raises Invalid."""
        digits = digits_of(receipt_id, SHORTEST)
        with glance(self.at) as journal:
            held = holding(journal, f'"receipt_id":"{RECEIPT_ID}{digits}')
            entries = [(seq, entry) for seq, entry in held if is_named(entry, digits)]
            if len(entries) > 1:
                raise Invalid(f"{receipt_id!r} names {len(entries)} receipts", "receipt", "give more digits of the id")
            return story(journal, *entries[0]) if entries else None

    def follow(self, wanted: Wanted, tell: Callable[[Object], None]) -> None:
        """Tell of the wanted receipts that are written from now on, for ever. Raises Invalid."""
        with glance(self.at) as journal:
            seen = journal.head()
            while True:
                page = journal.page(seen + 1, PAGE)
                for seq, body in page:
                    receipt = receipt_in(body)
                    if receipt is not None and wanted.admits(receipt):
                        tell(receipt)
                    seen = seq
                if not page:
                    time.sleep(POLL_S)


def backwards(journal: Glance) -> Iterator[tuple[int, bytes]]:
    """Yield every row, the last one first. Raises Invalid."""
    end = head = journal.head()
    with bar("reading the journal") as shown:
        while end > 0:
            first = max(1, end - PAGE + 1)
            yield from reversed(journal.page(first, end - first + 1))
            end = first - 1
            shown.move(head - end, head)


def holding(journal: Glance, text: str) -> Iterator[tuple[int, Object]]:
    """Yield the entries that hold a text somewhere, the last one first; only those are parsed. Raises Invalid."""
    needle = text.encode()
    for seq, body in backwards(journal):
        if needle in body:
            yield seq, reread(body)


def digits_of(receipt_id: str, at_least: int) -> str:
    """Return the digits of a receipt's id, with or without its prefix. Raises Invalid for what names no receipt."""
    digits = receipt_id.removeprefix(RECEIPT_ID)
    if not at_least <= len(digits) <= LONGEST or not DIGITS.issuperset(digits):
        count = f"{LONGEST}" if at_least == LONGEST else f"{at_least} to {LONGEST}"
        hint = f"give {count} hex digits of the id, as `helm receipts list --json` shows it"
        raise Invalid(f"{receipt_id!r} names no receipt", "receipt", hint)
    return digits


def is_named(entry: Object, digits: str) -> bool:
    """Tell whether the entry's own receipt has an id of these first digits: arguments may hold any text."""
    receipt = entry["beside"].get("receipt")
    return receipt is not None and receipt["receipt_id"].startswith(RECEIPT_ID + digits)


def receipt_in(body: bytes) -> Object | None:
    """Return the receipt that a row carries, None for a row of another kind."""
    if b'"receipt":{' not in body:
        return None
    receipt: Object | None = reread(body)["beside"].get("receipt")
    return receipt


def story(journal: Glance, seq: int, entry: Object) -> Object:
    """Return a receipt with the decision and record it seals, which an executed call left with its intent."""
    payload = entry["node"]["payload"]
    reason = payload.get("reason", "")
    if "intent_node" in payload:
        node_hash = payload["intent_node"]
        nodes = (held["node"] for _, held in holding(journal, f'"node_hash":"{node_hash}"'))
        payload = next((node["payload"] for node in nodes if node["node_hash"] == node_hash), {})
    return {
        "seq": seq,
        "reason": reason or payload.get("decision", {}).get("reason", ""),
        "receipt": entry["beside"]["receipt"],
        "decision": payload.get("decision"),
        "record": payload.get("record"),
    }
