"""What a scan finds: where a server says something that whoever approves it should look at (T3, T6)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from helm.contracts.form import JSONValue, Noun
from helm.crypto.canonical import record_bytes
from helm.crypto.hashing import content_id, sha256

MAX_QUOTED: Final = 120
"""Characters of a server's own words that a finding repeats."""


class Severity(StrEnum):
    """How much it should weigh with an approver, the lightest first."""

    INFO = "info"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Return the place in the order."""
        return list(Severity).index(self)


class Finding(Noun, frozen=True, kw_only=True):
    """One thing that was found. `rule` is the same in every version; `where` begins with the server's name."""

    quoted: str = ""
    remedy: str
    rule: str
    severity: Severity
    where: str
    why: str

    @property
    def finding_id(self) -> str:
        """Return what names this finding as long as the server says the same at the same place."""
        said = {"quoted": self.quoted, "rule": self.rule, "where": self.where}
        return content_id("find_", sha256(record_bytes(said)))

    def body(self) -> dict[str, JSONValue]:
        """Return the finding as a JSON object."""
        return {
            "finding_id": self.finding_id,
            "quoted": self.quoted,
            "remedy": self.remedy,
            "rule": self.rule,
            "severity": self.severity.value,
            "where": self.where,
            "why": self.why,
        }


def quote(text: str, at: int = 0) -> str:
    """Return the words around a place, with everything that is not seen written out."""
    part = text[max(0, at - 20) :][:MAX_QUOTED]
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in part)[:MAX_QUOTED]
