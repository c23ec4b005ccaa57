"""How an answer is told over HTTP: status, headers, and the signed receipt byte for byte as it was sealed."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Final

import attrs

from actors.doors.heading import SECURITY, Heading
from actors.doors.problem import PROBLEM_JSON, REASON_TYPE, RETRY_AFTER_S, Problem
from actors.mailbox import Answer
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Status
from helm.crypto.canonical import fragment, record_bytes

HTTP_STATUS: Final[Mapping[Status, int]] = MappingProxyType(
    {
        Status.SUCCESS: 200,
        Status.DENIED: 403,
        Status.ESCALATED: 202,
        Status.FAILED: 502,
        Status.INDETERMINATE: 504,
        Status.INTERRUPTED: 503,
        Status.NOT_DISPATCHED: 503,
    }
)
OTHERWISE: Final[Mapping[ReasonCode, int]] = MappingProxyType(
    {
        ReasonCode.IDEMPOTENCY_KEY_REUSED: 409,
        ReasonCode.TEMPORAL_THROTTLE: 429,
    }
)
"""Refusals for which HTTP has a word of its own."""

RETRIED: Final = frozenset({429, 503})
"""Statuses after which the same call may do better a little later."""

APPROVALS: Final = "/api/v1/approvals/"
JSON: Final = (b"content-type", b"application/json")
PROBLEM: Final = (b"content-type", PROBLEM_JSON.encode())

Headers = list[tuple[bytes, bytes]]


@attrs.frozen
class Told:
    """One HTTP answer, ready to be sent."""

    status: int
    headers: Headers
    body: bytes


def tell(answer: Answer, heading: Heading) -> Told:
    """Return the answer of an executed or refused call."""
    status, members = members_of(answer)
    told = finish(status, JSON if status < 400 else PROBLEM, members, heading)
    told.headers.extend(evidence(answer))
    if status in RETRIED:
        told.headers.append((b"retry-after", b"%d" % (answer.retry_after_s or RETRY_AFTER_S)))
    if answer.approval_id:
        told.headers.append((b"location", (APPROVALS + answer.approval_id).encode()))
    return told


def members_of(answer: Answer) -> tuple[int, dict[str, JSONValue]]:
    """Return what HTTP calls the answer of an executed or refused call, and its members."""
    status = OTHERWISE.get(answer.reason_code) or HTTP_STATUS[answer.status]
    members = common(answer)
    if status < 400:
        members["status"] = answer.status.value
    else:
        members["detail"] = answer.reason
        members["receipt_id"] = answer.receipt.receipt_id
        members["status"] = status
        members["title"] = HTTPStatus(status).phrase
        members["type"] = REASON_TYPE + answer.reason_code
    return status, members


def tell_verdict(answer: Answer, heading: Heading) -> Told:
    """Return the answer of a call that was only to be judged: 200, whatever the verdict."""
    told = finish(200, JSON, common(answer) | {"status": answer.status.value}, heading)
    told.headers.extend(evidence(answer))
    return told


def tell_problem(problem: Problem, heading: Heading) -> Told:
    """Return the answer of a request that became no call."""
    headers = [(name.encode(), value.encode()) for name, value in problem.headers]
    body = problem.body()
    return Told(problem.status, [PROBLEM, length_of(body), *SECURITY, *heading.echoed(), *headers], body)


def tell_object(members: Mapping[str, JSONValue], heading: Heading) -> Told:
    """Return the answer to a request that is about no call."""
    return finish(200, JSON, dict(members), heading)


def common(answer: Answer) -> dict[str, JSONValue]:
    """Return the members of every governed answer; `outcome` is the receipt's status, under one name everywhere."""
    members: dict[str, JSONValue] = {
        "decision_id": answer.receipt.content.decision_id,
        "outcome": answer.status.value,
        "output": fragment(answer.output_json) if answer.output_json else None,
        "reason": answer.reason,
        "reason_code": answer.reason_code.value,
        "receipt": fragment(answer.receipt.json),
        "record_id": answer.record_id,
        "replayed": answer.replayed,
        "verdict": answer.verdict.value,
    }
    if answer.approval_id:
        members["approval_id"] = answer.approval_id
    return members


def finish(status: int, content_type: tuple[bytes, bytes], members: dict[str, JSONValue], heading: Heading) -> Told:
    body = record_bytes(members)
    return Told(status, [content_type, length_of(body), *SECURITY, *heading.echoed()], body)


def length_of(body: bytes) -> tuple[bytes, bytes]:
    return (b"content-length", b"%d" % len(body))


def evidence(answer: Answer) -> Headers:
    """Return the headers that name what stands behind the answer."""
    receipt = answer.receipt.content
    headers = [
        (b"x-helm-receipt-id", answer.receipt.receipt_id.encode()),
        (b"x-helm-decision-id", receipt.decision_id.encode()),
        (b"x-helm-verdict", answer.verdict.encode()),
        (b"x-helm-lamport-clock", b"%d" % receipt.lamport_clock),
    ]
    if answer.reason_code:
        headers.append((b"x-helm-reason-code", answer.reason_code.encode()))
    if receipt.output_hash:
        headers.append((b"x-helm-output-hash", receipt.output_hash.encode()))
    return headers
