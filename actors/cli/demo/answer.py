"""One answer of the gateway against the expected one."""

from __future__ import annotations

from typing import Any

import attrs

from actors.cli.server import Reply


@attrs.frozen(kw_only=True)
class Answer:
    """One answer of the gateway, reduced to what is compared. What does not apply is ""."""

    http: int
    verdict: str = ""
    status: str = ""
    code: str = ""
    receipt_id: str = ""
    approval_id: str = ""
    body: bytes = attrs.field(default=b"", repr=False)

    @classmethod
    def of(cls, reply: Reply) -> Answer:
        """Read an answer: its HTTP status, its headers, and the outcome in its body."""
        told: Any = reply.json()
        return cls(
            http=reply.status,
            verdict=reply.headers.get("x-helm-verdict", ""),
            status=str(told.get("outcome", "")),
            code=reply.headers.get("x-helm-reason-code", ""),
            receipt_id=reply.headers.get("x-helm-receipt-id", ""),
            approval_id=str(told.get("approval_id", "")),
            body=reply.body,
        )


@attrs.frozen(kw_only=True)
class Expected:
    """What must come back. A governed answer has a verdict, and then it has a receipt."""

    http: int
    verdict: str = ""
    status: str = ""
    code: str = ""
    says: str = ""
    """What must stand in the body."""

    def complaint(self, answer: Answer) -> str:
        """Say what is wrong with an answer, "" for the expected one."""
        for name, found, wanted in (
            ("HTTP status", answer.http, self.http),
            ("verdict", answer.verdict, self.verdict),
            ("outcome", answer.status, self.status),
            ("reason code", answer.code, self.code),
        ):
            if found != wanted:
                return f"{name} {found or 'missing'}, expected {wanted or 'none'}"
        if bool(answer.receipt_id) != bool(self.verdict):
            return "no receipt came with it" if self.verdict else "a receipt came, and nothing was judged"
        if bool(answer.approval_id) != (self.status == "ESCALATED"):
            return "no approval id came with it" if self.verdict == "ESCALATE" else "an approval id came with it"
        return "" if self.says.encode() in answer.body else f"the answer does not say {self.says}"

    def __str__(self) -> str:
        return f"{self.http} {self.verdict}".rstrip()


ALLOWED = Expected(http=200, verdict="ALLOW", status="SUCCESS")
UNKNOWN_CALLER = Expected(http=401)
OBEYED = Expected(http=200)
ASKS_A_HUMAN = Expected(http=202, verdict="ESCALATE", status="ESCALATED", code="APPROVAL_REQUIRED")
DRIFTED = Expected(http=502, verdict="ALLOW", status="FAILED", code="ERR_CONNECTOR_CONTRACT_DRIFT")


def refused(code: str, http: int = 403) -> Expected:
    """Return the refusal with this code."""
    return Expected(http=http, verdict="DENY", status="DENIED", code=code)
