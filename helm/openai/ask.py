"""One tool call that a model asks for, and what was ruled on it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from helm.contracts.errors import Refused
from helm.contracts.form import JSONValue, Noun
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import canonical
from helm.guardian.intake import NAME

MAX_ASKS = 64
"""Tool calls of one answer: each is a call on the belt, and a receipt (T4)."""

MAX_DOCUMENT = 64 * 1024 * 1024
"""Longest document that is written again; what was read is bounded long before (T4)."""


class Ask(Noun, frozen=True, kw_only=True):
    """A tool call as a model worded it. `malformed` says why its arguments are none; then they are what stood there."""

    call_id: str
    tool: str
    arguments: bytes
    malformed: str = ""


class Ruling(Noun, frozen=True, kw_only=True):
    """What becomes of one ask: handed on with the very bytes that were judged, or replaced by words."""

    arguments: str = ""
    told: str = ""
    """"" where the ask is handed on."""


def not_an_answer(what: str) -> Refused:
    """Return the refusal of an answer that is not what it should be."""
    return Refused(ReasonCode.ENVELOPE_INVALID, what)


def ask_of(call_id: JSONValue, tool: JSONValue, arguments: JSONValue, problem: str = "") -> Ask:
    """Return one ask. Raises Refused where it has no name, or no id that a receipt can hold."""
    if type(tool) is not str or NAME.fullmatch(tool) is None:
        raise not_an_answer("a tool call without the name of a tool")
    if type(call_id) is not str or NAME.fullmatch(call_id) is None:
        raise not_an_answer(f"a call of {tool} without an id that a receipt can hold")
    if type(arguments) is str:
        return Ask(call_id=call_id, tool=tool, arguments=arguments.encode(), malformed=problem)
    what = problem or "the arguments are not a string that holds JSON"
    return Ask(call_id=call_id, tool=tool, arguments=written(arguments), malformed=what)


def check_asks(asks: Iterable[Ask]) -> tuple[Ask, ...]:
    """Return the asks of one answer. Raises Refused for too many, and for an id that stands twice."""
    found = tuple(asks)
    if len(found) > MAX_ASKS:
        raise not_an_answer(f"more than {MAX_ASKS} tool calls in one answer")
    if len({ask.call_id for ask in found}) != len(found):
        raise not_an_answer("two tool calls of one answer have the same id")
    return found


def written(value: JSONValue) -> bytes:
    """Return a value that was read strictly as JSON bytes."""
    return canonical(value, max_bytes=MAX_DOCUMENT, max_depth=128)


def an_object(value: JSONValue, what: str) -> dict[str, Any]:
    """Return `value` where it is an object. Raises Refused."""
    if type(value) is not dict:
        raise not_an_answer(f"{what} is not an object")
    return value


def a_list(value: JSONValue, what: str) -> list[Any]:
    """Return `value` where it is a list, an empty one for null. Raises Refused."""
    if value is None:
        return []
    if type(value) is not list:
        raise not_an_answer(f"{what} is not a list")
    return value


def text_or_null(value: JSONValue, what: str) -> None:
    """Raise Refused unless `value` is text or null."""
    if value is not None and type(value) is not str:
        raise not_an_answer(f"{what} is neither text nor null")
