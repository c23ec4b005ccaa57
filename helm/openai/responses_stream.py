"""A streamed answer of the responses API: what it asks for is read from its end, and told by events of ours.

Whatever the stream said of a function call on its way is dropped; it is only remembered that there was one, so that a
stream whose end tells of other calls than its middle is refused (T9.5).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from helm.contracts.errors import Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import parse
from helm.openai.ask import MAX_DOCUMENT, Ask, Ruling, an_object, not_an_answer
from helm.openai.responses import ENDED, FUNCTION_CALL, Response, check_item, read_response
from helm.openai.sse import DONE, named_event

BEGINNING: Final = frozenset({"response.created", "response.in_progress", "response.queued"})
ENDING: Final = frozenset(f"response.{status}" for status in ENDED)
ADDED: Final = "response.output_item.added"
ITEM_DONE: Final = "response.output_item.done"
OF_CALLS: Final = frozenset({"response.function_call_arguments.delta", "response.function_call_arguments.done"})
OF_TEXT: Final = (
    "response.content_part.",
    "response.output_text.",
    "response.refusal.",
    "response.reasoning",
)
"""How the events begin that hold nothing but words."""


@attrs.define
class ResponseStream:
    """Reads one stream, event by event."""

    _held: list[dict[str, Any] | int] = attrs.field(factory=list)
    """From the first function call on: events of text, and the places at which our own events go."""
    _begun: set[int] = attrs.field(factory=set)
    _whole: set[int] = attrs.field(factory=set)
    _ending: dict[str, Any] | None = None
    _answer: Response | None = None
    _number: int = 0

    @property
    def usage(self) -> JSONValue:
        """Return what the model says it used, None before its end."""
        return self._answer.usage if self._answer is not None else None

    def feed(self, data: bytes) -> list[bytes]:
        """Return the events for the client that hold only text, up to the first function call. Raises Refused."""
        if data == DONE and self._ending is not None:
            return []
        if self._ending is not None:
            raise not_an_answer("the stream goes on behind its end")
        try:
            event = an_object(parse(data, max_bytes=MAX_DOCUMENT), "an event")
        except Malformed as problem:
            raise not_an_answer(f"an event is not acceptable JSON: {problem}") from problem
        return self._take(event, event.get("type"))

    def _take(self, event: dict[str, Any], kind: Any) -> list[bytes]:
        if kind in ENDING:
            self._ending, self._answer = event, read_response(event.get("response"))
            return []
        if kind in BEGINNING:
            snapshot = an_object(event.get("response"), "the response")
            return self._let(event | {"response": snapshot | {"output": []}})
        place = event.get("output_index")
        if type(place) is not int or place < 0:
            raise not_an_answer("the stream holds an event that is neither text nor a function call")
        if kind in (ADDED, ITEM_DONE):
            item = check_item(event.get("item"))
            if item["type"] == FUNCTION_CALL:
                return self._note(place, is_whole=kind == ITEM_DONE)
            return self._let(event)
        if kind in OF_CALLS:
            return self._note(place, is_whole=False)
        if type(kind) is str and kind.startswith(OF_TEXT) and place not in self._begun:
            return self._let(event)
        raise not_an_answer("the stream holds an event that is neither text nor a function call")

    def _note(self, place: int, *, is_whole: bool) -> list[bytes]:
        if place not in self._begun:
            self._begun.add(place)
            self._held.append(place)
        if is_whole:
            self._whole.add(place)
        return []

    def _let(self, event: dict[str, Any]) -> list[bytes]:
        if self._held:
            self._held.append(event)
            return []
        return [self._numbered(event)]

    def _numbered(self, event: dict[str, Any]) -> bytes:
        self._number += 1
        return named_event(event | {"sequence_number": self._number - 1})

    def close(self) -> tuple[Ask, ...]:
        """Return all that is asked for. Raises Refused where the stream ended early, or its end tells another story."""
        if self._answer is None:
            raise not_an_answer("the stream ended early")
        if not self._begun == self._whole == set(self._answer.calls):
            raise not_an_answer("the stream's end tells of other function calls than its middle")
        return self._answer.asks

    def tail(self, asks: tuple[Ask, ...], rulings: Mapping[str, Ruling]) -> list[bytes]:
        """Return the rest for the client: the calls that are handed on, words for the others, and the end."""
        if self._answer is None or self._ending is None:
            raise not_an_answer("the stream ended early")
        told = [self._numbered(event) for event in self._rest(self._answer, rulings)]
        return [*told, self._numbered(self._ending | {"response": self._answer.ruled(rulings)})]

    def _rest(self, answer: Response, rulings: Mapping[str, Ruling]) -> Iterator[dict[str, Any]]:
        for held in self._held:
            if type(held) is int:
                yield from events_of(held, answer.ruled_item(held, rulings))
            elif isinstance(held, dict):
                yield held


def events_of(place: int, item: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the events by which a client learns of one whole item."""
    at: dict[str, Any] = {"item_id": item["id"], "output_index": place}
    if item["type"] == FUNCTION_CALL:
        yield {"item": item | {"arguments": "", "status": "in_progress"}, "output_index": place, "type": ADDED}
        yield at | {"delta": item["arguments"], "type": "response.function_call_arguments.delta"}
        said = {"arguments": item["arguments"], "name": item["name"]}
        yield at | said | {"type": "response.function_call_arguments.done"}
    else:
        part = item["content"][0]
        at |= {"content_index": 0}
        yield {"item": item | {"content": [], "status": "in_progress"}, "output_index": place, "type": ADDED}
        yield at | {"part": part | {"text": ""}, "type": "response.content_part.added"}
        yield at | {"delta": part["text"], "logprobs": [], "type": "response.output_text.delta"}
        yield at | {"logprobs": [], "text": part["text"], "type": "response.output_text.done"}
        yield at | {"part": part, "type": "response.content_part.done"}
    yield {"item": item, "output_index": place, "type": ITEM_DONE}
