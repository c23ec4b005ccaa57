"""Routes on which sessions are listed, and one session's chain is read, receipt by receipt."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

from quart import Response

from actors.appender import session_key
from actors.doors.credentials import tenant_of
from actors.doors.desk import Desk, answer, query, whole_number
from actors.doors.problem import Problem
from actors.kernel import Kernel
from actors.keys.bearer import BearerKey, KeyClass
from helm.contracts.form import JSONValue
from helm.receipts.chain import SessionKey

MAX_LIMIT: Final = 200
"""Sessions, or receipts of one, in one answer."""

DEFAULT_LIMIT: Final = 50

MAX_SCAN: Final = 20_000
"""Sessions that one request may make us look at: other tenants' lie between one's own (T4)."""


class ProofGraphRoutes:
    """Any key opens the routes; a tenant's sees its own tenant's sessions."""

    def __init__(self, kernel: Kernel, desk: Desk) -> None:
        self.kernel = kernel
        self.desk = desk

    async def sessions(self) -> Response:
        """Answer with sessions in the order in which they were opened; `next` is the cursor, null at the end."""
        tenant = tenant_of(self.desk.caller())
        given = query()
        after = whole_number(given, "after", 0)
        limit = max(1, whole_number(given, "limit", DEFAULT_LIMIT, MAX_LIMIT))
        found, last = list[JSONValue](), after
        bindings = self.kernel.memory.sessions.bindings
        for session in islice(bindings, after, after + MAX_SCAN):
            last += 1
            if tenant in (None, session[0]):
                found.append(self._told(session))
            if len(found) == limit:
                break
        return answer({"next": last if last < len(bindings) else None, "sessions": found})

    async def session(self, session_id: str) -> Response:
        """Answer with a session, and with its receipts behind the tick `after`, each with its node."""
        key = self.desk.caller()
        given = query()
        session = (tenant_asked(key, given), session_id)
        after = whole_number(given, "after", 0)
        limit = max(1, whole_number(given, "limit", DEFAULT_LIMIT, MAX_LIMIT))
        if self.kernel.memory.sessions.find(session) is None:
            raise Problem(status=404, detail="no such session")
        rows = await self._rows(session, after, limit)
        last = rows[-1]["receipt"]["lamport_clock"] if len(rows) == limit else None
        return answer({"chain": rows, "next": last, "session": self._told(session)})

    async def _rows(self, session: SessionKey, after: int, limit: int) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        for clock in range(after + 1, after + 1 + limit):
            seq = await self.kernel.library.find(session_key(*session, clock))
            if seq is None:
                break
            entry = await self.kernel.library.entry(seq)
            node = {name: entry["node"][name] for name in ("kind", "lamport", "node_hash", "parents")}
            intent = entry["node"]["payload"].get("intent_node", "")
            rows.append({"intent_node": intent, "node": node, "receipt": entry["beside"]["receipt"]})
        return rows

    def _told(self, session: SessionKey) -> dict[str, JSONValue]:
        binding = self.kernel.memory.sessions.bindings[session]
        return {
            "closed": binding.closed_at(self.kernel.parts.clock.now_ms()),
            "labels": list(binding.labels),
            "lamport_clock": self.kernel.parts.state.chains.latest(session).lamport_clock,
            "opened_at_ms": binding.opened_at_ms,
            "principal": binding.principal,
            "session_id": session[1],
            "tenant": session[0],
        }


def tenant_asked(key: BearerKey, given: dict[str, str]) -> str:
    """Return whose session is asked for. Raises Problem for another tenant's."""
    asked = given.get("tenant", "")
    if key.key_class == KeyClass.TENANT and asked not in ("", key.tenant):
        raise Problem(status=403, detail="a tenant's key reads its own tenant", place="?tenant")
    return key.tenant or asked
