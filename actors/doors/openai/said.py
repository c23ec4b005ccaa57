"""How the proxy's answers are told: OpenAI's objects, and the headers that name what stands behind them."""

from __future__ import annotations

from collections.abc import Sequence

from actors.doors.heading import SECURITY, Heading
from actors.doors.openai.court import Ruled
from actors.doors.problem import Problem
from actors.doors.told import Headers, Told, evidence, length_of
from actors.mailbox import Answer
from helm.openai.telling import REFUSAL_TYPE, error_body

JSON = (b"content-type", b"application/json")
STREAM = (b"content-type", b"text/event-stream")
NO_RETRY = (b"x-should-retry", b"false")
"""OpenAI's clients ask again after a 5xx: a refusal would be refused again, and paid for again."""


class Failed(Exception):
    """A governed refusal: its receipt says why."""

    def __init__(self, status: int, answer: Answer) -> None:
        super().__init__(answer.reason_code)
        self.status = status
        self.answer = answer


def say_failed(failed: Failed, heading: Heading) -> Told:
    """Return the answer of a governed refusal."""
    answer = failed.answer
    body = error_body(answer.reason, REFUSAL_TYPE, answer.reason_code, answer.receipt.receipt_id)
    told = say_json(failed.status, body, heading)
    told.headers.extend([*evidence(answer), NO_RETRY])
    return told


def say_problem(problem: Problem, heading: Heading) -> Told:
    """Return the answer of a request that came to nothing that could be sealed."""
    kind = "authentication_error" if problem.status == 401 else "helm_error"
    code = problem.reason_code.value if problem.reason_code else ""
    told = say_json(problem.status, error_body(problem.detail, kind, code), heading)
    told.headers.extend((name.encode(), value.encode()) for name, value in problem.headers)
    return told


def say_json(status: int, body: bytes, heading: Heading, ruled: Sequence[Ruled] = ()) -> Told:
    """Return an answer in one piece."""
    return Told(status, [JSON, length_of(body), *SECURITY, *heading.echoed(), *receipts_of(ruled)], body)


def say_stream(body: bytes, heading: Heading, ruled: Sequence[Ruled]) -> Told:
    """Return a stream of which every event is there."""
    return Told(200, [STREAM, length_of(body), *SECURITY, *heading.echoed(), *receipts_of(ruled)], body)


def receipts_of(ruled: Sequence[Ruled]) -> Headers:
    """Return the header that names the receipt of every tool call, in the order of the calls."""
    if not ruled:
        return []
    return [(b"x-helm-receipt-id", ", ".join(one.answer.receipt.receipt_id for one in ruled).encode())]
