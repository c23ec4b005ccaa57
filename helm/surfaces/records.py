"""Which boundary records are asked for, and how one is found in a row of the journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from helm.crypto.canonical import reread

CARRIES_RECORD: Final = b'"record":{'
"""In every row that carries one. Arguments may hold the same text: it only saves the reading of the others."""

FILTERS: Final = ("mcp_server_id", "policy_epoch", "reason_code", "tool_name", "verdict")


@attrs.frozen
class WantedRecords:
    """Which records are asked for. `tenant` is whose they may be at all, None for everyone's."""

    tenant: str | None = None
    members: Mapping[str, str] = attrs.field(factory=dict)
    """What a record must say, by member."""

    @classmethod
    def of(cls, tenant: str | None, given: Mapping[str, str]) -> WantedRecords:
        """Return what the parameters of a request, or the options of a command, ask for."""
        return cls(tenant, {name: given[name] for name in FILTERS if given.get(name)})

    def pick(self, body: bytes) -> dict[str, Any] | None:
        """Return the record that a row carries, None for a row of another kind or one that is not wanted."""
        record = record_in(body)
        return record if record is not None and self.admits(record) else None

    def admits(self, record: Mapping[str, Any]) -> bool:
        """Tell whether a record is one of these."""
        if self.tenant is not None and record["tenant"] != self.tenant:
            return False
        return all(str(record[name]) == said for name, said in self.members.items())


@attrs.frozen
class OfDecision:
    """The one receipt of a decision, wherever behind its record it stands."""

    decision_id: str

    def pick(self, body: bytes) -> dict[str, Any] | None:
        """Return the row's receipt and tick where it is the one, None for any other row."""
        if self.decision_id.encode() not in body:
            return None
        entry = reread(body)
        receipt = entry["beside"].get("receipt")
        if receipt is None or receipt["decision_id"] != self.decision_id:
            return None
        return {"lamport": entry["node"]["lamport"], "receipt": receipt}


def record_in(body: bytes) -> dict[str, Any] | None:
    """Return the record that a row carries, None for a row of another kind."""
    if CARRIES_RECORD not in body:
        return None
    record: dict[str, Any] | None = reread(body)["node"]["payload"].get("record")
    return record
