"""A refusal without a receipt: what could not be framed, authenticated, found or served (RFC 9457)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType

import attrs

from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import record_bytes

PROBLEM_JSON = "application/problem+json"
REASON_TYPE = "urn:helm:reason:"
"""Prefix of the type of a problem that has a reason code; any other is about:blank (RFC 9457 section 4.2.1)."""

RETRY_AFTER_S = 1
"""When an overloaded door may be tried again: places are free within a second, or not for long."""

Header = tuple[str, str]


@attrs.frozen(kw_only=True)
class Problem(Exception):
    """What a door answers with when there is no receipt. `place` is a byte offset, JSON pointer, or header."""

    status: int
    detail: str
    place: str = ""
    reason_code: ReasonCode = ReasonCode.NONE
    headers: Sequence[Header] = ()
    outcome_unknown: bool | None = None
    """For a call in flight: whether its effect may have happened. None where no call was made."""
    said: Mapping[str, JSONValue] = MappingProxyType({})
    """What else there is to say, such as the checks of a verification (RFC 9457 section 3.2)."""

    def body(self) -> bytes:
        """Return the problem+json object."""
        return record_bytes(self.members())

    def members(self) -> dict[str, JSONValue]:
        """Return the members of the problem+json object."""
        members: dict[str, JSONValue] = {
            **self.said,
            "detail": self.detail,
            "status": self.status,
            "title": HTTPStatus(self.status).phrase,
            "type": REASON_TYPE + self.reason_code if self.reason_code else "about:blank",
        }
        if self.place:
            members["place"] = self.place
        if self.reason_code:
            members["reason_code"] = self.reason_code.value
        if self.outcome_unknown is not None:
            members["outcome_unknown"] = self.outcome_unknown
        return members


def overloaded(detail: str) -> Problem:
    """Return the refusal of a call for which no place was free."""
    retry = (("retry-after", str(RETRY_AFTER_S)),)
    return Problem(status=503, detail=detail, reason_code=ReasonCode.OVERLOADED, headers=retry)


def stopped(*, unknown: bool) -> Problem:
    """Return what a caller learns from a kernel that ended before it could answer."""
    detail = (
        "the kernel ended while the effect was under way: its outcome is unknown, reconcile before any retry"
        if unknown
        else "there is no kernel to decide: nothing was dispatched"
    )
    return Problem(
        status=503,
        detail=detail,
        reason_code=ReasonCode.KERNEL_STOPPED,
        headers=(("retry-after", str(RETRY_AFTER_S)),),
        outcome_unknown=unknown,
    )
