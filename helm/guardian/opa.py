"""OPA's data API, as far as HELM speaks it: what a question looks like, and what an answer says.

An answer is read as strictly as a caller's arguments. What it comes to is not decided here: a result that is no truth
value, or another policy's, is a fact that the guardian refuses by.
"""

from __future__ import annotations

import re
from typing import Final

from helm.contracts.errors import Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import parse
from helm.crypto.hashing import sha256
from helm.guardian.points import Advice, OpaPoint, Question

QUERY: Final = "provenance=true&strict-builtin-errors=true"
"""The server says by which bundles it answers, and does not take a failed function for `undefined`."""

MAX_DEPTH: Final = 32
"""Deepest answer: a truth value, with metrics and provenance around it (T4)."""

MAX_BUNDLES: Final = 32
"""Bundles that an answer may report (T4)."""

NAME: Final = re.compile(r"[!-~]{1,256}")

NO_BUNDLES: tuple[tuple[str, str], ...] = ()


class Unreadable(Exception):
    """An answer that says nothing."""


def target_of(point: OpaPoint) -> str:
    """Return where the question goes at the server."""
    return f"/v1/data/{point.path}?{QUERY}"


def body_of(request: bytes) -> bytes:
    """Return the question's body."""
    return b'{"input":%b}' % request


def advice_of(question: Question, body: bytes, *, asked_at_ms: int, latency_ms: int) -> Advice:
    """Return what a server's answer says. It is total: an answer that cannot be read is an error."""
    try:
        result, bundles, decision_ref = read_answer(body, question.point.max_response_bytes)
        error = ""
    except Unreadable as problem:
        result, bundles, decision_ref, error = "", NO_BUNDLES, "", str(problem)
    return Advice(
        answer_hash=sha256(body),
        asked_at_ms=asked_at_ms,
        bundles=bundles,
        decision_ref=decision_ref,
        error=error,
        latency_ms=latency_ms,
        point=question.point.name,
        request_hash=question.request_hash,
        result=result,
    )


def no_advice(question: Question, error: str, *, asked_at_ms: int, latency_ms: int) -> Advice:
    """Return that no answer came, and why."""
    return Advice(
        answer_hash="",
        asked_at_ms=asked_at_ms,
        bundles=NO_BUNDLES,
        decision_ref="",
        error=error,
        latency_ms=latency_ms,
        point=question.point.name,
        request_hash=question.request_hash,
        result="",
    )


def read_answer(body: bytes, max_bytes: int) -> tuple[str, tuple[tuple[str, str], ...], str]:
    """Return result, bundles and the server's name of an answer. Raises Unreadable."""
    try:
        answer = parse(body, max_bytes=max_bytes, max_depth=MAX_DEPTH)
    except Malformed as problem:
        raise Unreadable(f"the answer is no exact JSON: {problem.problem}") from problem
    if type(answer) is not dict:
        raise Unreadable("the answer is no object")
    if "warning" in answer:  # the server did not take the question as it was meant
        raise Unreadable("the answer carries a warning")
    decision_ref = answer.get("decision_id", "")
    if type(decision_ref) is not str or (decision_ref and NAME.fullmatch(decision_ref) is None):
        raise Unreadable("the answer has an odd decision_id")
    return result_of(answer), bundles_of(answer), decision_ref


def result_of(answer: dict[str, JSONValue]) -> str:
    """Return the result in a word. A rule that is undefined leaves the member out."""
    if "result" not in answer:
        return "undefined"
    result = answer["result"]
    if result is True:
        return "true"
    return "false" if result is False else "other"


def bundles_of(answer: dict[str, JSONValue]) -> tuple[tuple[str, str], ...]:
    """Return every bundle that the answer reports, with its revision, in order. Raises Unreadable."""
    provenance = answer.get("provenance", {})
    bundles = provenance.get("bundles", {}) if type(provenance) is dict else None
    if type(bundles) is not dict or len(bundles) > MAX_BUNDLES:
        raise Unreadable("the answer reports its bundles in an odd way")
    return tuple(sorted((name, revision_of(name, told)) for name, told in bundles.items()))


def revision_of(name: str, told: JSONValue) -> str:
    revision = told.get("revision", "") if type(told) is dict else None
    if type(revision) is not str or any(NAME.fullmatch(text) is None for text in (name, revision)):
        raise Unreadable("the answer reports a bundle without a revision, or under an odd name")
    return revision
