"""What came back for one step, and what should have."""

from __future__ import annotations

from typing import Any

import attrs

from actors.cli.server import Reply


@attrs.frozen(kw_only=True)
class Answer:
    """One answer of the gateway, reduced to what is compared. A member that does not apply is ""."""

    http: int
    verdict: str = ""
    status: str = ""
    code: str = ""
    receipt_id: str = ""
    approval_id: str = ""

    @classmethod
    def of(cls, reply: Reply) -> Answer:
        """Read an answer: its status, its headers, and the outcome in its body."""
        body: Any = reply.json() if reply.body else {}
        return cls(
            http=reply.status,
            verdict=reply.headers.get("x-helm-verdict", ""),
            status=str(body.get("outcome", "")),
            code=reply.headers.get("x-helm-reason-code", ""),
            receipt_id=reply.headers.get("x-helm-receipt-id", ""),
            approval_id=str(body.get("approval_id", "")),
        )


@attrs.frozen(kw_only=True)
class Expected:
    """What must come back. A governed answer has a verdict, and then it has a receipt."""

    http: int
    verdict: str = ""
    status: str = ""
    code: str = ""

    def complaint(self, answer: Answer) -> str:
        """Say what is wrong with an answer, "" for the expected one."""
        for name, wanted in attrs.asdict(self).items():
            found = vars_of(answer)[name]
            if found != wanted:
                return f"{name} is {found or 'missing'}, expected {wanted or 'none'}"
        if bool(answer.receipt_id) != bool(self.verdict):
            return "a receipt is missing" if self.verdict else "there is a receipt where none can be"
        if bool(answer.approval_id) != (self.status == "ESCALATED"):
            return "an approval id is missing" if self.status == "ESCALATED" else "nobody asked for an approval"
        return ""


def vars_of(answer: Answer) -> dict[str, Any]:
    return attrs.asdict(answer)


OK = Expected(http=200, verdict="ALLOW", status="SUCCESS")


def deny(code: str, http: int = 403) -> Expected:
    """Return the refusal with this code."""
    return Expected(http=http, verdict="DENY", status="DENIED", code=code)
