"""The library: reads what the journal holds, by id or in order; it writes nothing and decides nothing."""

from __future__ import annotations

from typing import Any

import attrs

from actors.mailbox import Answer
from actors.stores.index import IdIndex
from actors.stores.port import Journal
from helm.contracts.errors import Invalid
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Status, Verdict
from helm.crypto.canonical import canonical, reread
from helm.evidence.unseal import unseal_receipt

PAGE = 256
"""Entries read at a time: a reader must not hold the database while a thousand rows are parsed."""


@attrs.define
class Library:
    """Random and ordered access to durable entries."""

    journal: Journal
    index: IdIndex

    async def find(self, key: str) -> int | None:
        """Return the seq of the entry that `key` names, or None."""
        return await self.index.find(key)

    async def entry(self, seq: int) -> dict[str, Any]:
        """Return one entry as a JSON object; raise Invalid where there is none."""
        rows = await self.journal.read(seq, 1)
        if not rows or rows[0][0] != seq:
            raise Invalid("no such entry", f"journal entry {seq}", "the index is ahead of the journal: delete index.db")
        entry: dict[str, Any] = reread(rows[0][1])
        return entry

    async def answer(self, seq: int) -> Answer:
        """Return the answer that the outcome at `seq` was, marked as replayed."""
        entry = await self.entry(seq)
        sealed = unseal_receipt(entry["beside"]["receipt"], f"journal entry {seq}")
        output = entry["beside"].get("output")
        return Answer(
            verdict=Verdict(sealed.content.verdict),
            status=Status(sealed.content.status),
            reason_code=ReasonCode(sealed.content.reason_code),
            reason=entry["node"]["payload"].get("reason", ""),
            record_id="rec_" + sealed.content.decision_id.removeprefix("dec_"),
            receipt=sealed,
            output_json=b"" if "output" not in entry["beside"] else canonical(output),
            replayed=True,
        )

    async def entries(self, after: int = 0, upto: int | None = None) -> list[tuple[int, dict[str, Any]]]:
        """Return one page of entries after seq `after`, oldest first, at most to seq `upto`."""
        last = self.journal.head if upto is None else min(upto, self.journal.head)
        rows = await self.journal.read(after + 1, min(PAGE, max(0, last - after)))
        return [(seq, reread(body)) for seq, body in rows]

    async def story(self, receipt_id: str) -> dict[str, Any] | None:
        """Return {seq, reason, receipt, decision, record} of one receipt, None where there is none."""
        seq = await self.index.find(receipt_id)
        if seq is None:
            return None
        entry = await self.entry(seq)
        receipt = entry["beside"].get("receipt")
        if receipt is None or receipt["receipt_id"] != receipt_id:
            return None
        payload = entry["node"]["payload"]
        reason = payload.get("reason", "")
        if "decision" not in payload:  # an effect: the decision stands with its intent, under the record's id
            intent = await self.index.find("rec_" + receipt["decision_id"].removeprefix("dec_"))
            payload = {} if intent is None else (await self.entry(intent))["node"]["payload"]
        decision, record = payload.get("decision"), payload.get("record")
        reason = reason or (decision or {}).get("reason", "")
        return {"decision": decision, "reason": reason, "receipt": receipt, "record": record, "seq": seq}

    async def record(self, record_id: str) -> dict[str, Any] | None:
        """Return one boundary record, None where there is none."""
        seq = await self.index.find(record_id)
        if seq is None:
            return None
        record: dict[str, Any] | None = (await self.entry(seq))["node"]["payload"].get("record")
        return record if record is not None and record["record_id"] == record_id else None
