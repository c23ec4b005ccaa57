"""A whole answer of the responses API: which tool calls it asks for, and the answer without those that were denied."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs

from helm.contracts.form import JSONValue
from helm.openai.ask import Ask, Ruling, a_list, an_object, ask_of, check_asks, not_an_answer

TEXTUAL: Final = frozenset({"message", "reasoning"})
"""Items that ask for nothing. Every other kind but a function call is executed by somebody whom nobody governs."""

ENDED: Final = frozenset({"completed", "incomplete"})
FUNCTION_CALL: Final = "function_call"


@attrs.frozen
class Response:
    """One answer: the document, its items, and what they ask for, by the item's place."""

    document: dict[str, Any]
    items: tuple[dict[str, Any], ...]
    calls: Mapping[int, Ask]

    @property
    def asks(self) -> tuple[Ask, ...]:
        """Return what is asked for, in order."""
        return tuple(self.calls.values())

    @property
    def usage(self) -> JSONValue:
        """Return what the model says it used."""
        return self.document.get("usage")

    def ruled(self, rulings: Mapping[str, Ruling]) -> dict[str, JSONValue]:
        """Return the answer for the client: allowed calls with the bytes that were judged, words for the others."""
        return self.document | {"output": [self.ruled_item(place, rulings) for place in range(len(self.items))]}

    def ruled_item(self, place: int, rulings: Mapping[str, Ruling]) -> dict[str, JSONValue]:
        """Return one item as the client gets it."""
        ask = self.calls.get(place)
        if ask is None:
            return self.items[place]
        ruling = rulings[ask.call_id]
        if ruling.told:
            return message_of(place, ruling.told)
        return {
            "arguments": ruling.arguments,
            "call_id": ask.call_id,
            "id": self.items[place].get("id") or f"fc_{place}",
            "name": ask.tool,
            "status": "completed",
            "type": FUNCTION_CALL,
        }


def read_response(document: JSONValue) -> Response:
    """Return the answer that a document is. Raises Refused."""
    whole = an_object(document, "the answer")
    if whole.get("status") not in ENDED:
        raise not_an_answer("the answer is not complete")
    items = tuple(check_item(item) for item in a_list(whole.get("output"), "output"))
    calls = {place: call_in(item) for place, item in enumerate(items) if item["type"] == FUNCTION_CALL}
    check_asks(calls.values())
    return Response(whole, items, calls)


def check_item(given: JSONValue) -> dict[str, Any]:
    """Return an item of a kind that is known. Raises Refused."""
    item = an_object(given, "an item of the answer")
    kind = item.get("type")
    if kind != FUNCTION_CALL and kind not in TEXTUAL:
        raise not_an_answer("the answer holds an item that is neither text nor a function call: it is not governed")
    return item


def call_in(item: Mapping[str, JSONValue]) -> Ask:
    """Return what a function call asks for. Raises Refused."""
    unfinished = "" if item.get("status", "completed") == "completed" else "the call was never completed"
    return ask_of(item.get("call_id"), item.get("name"), item.get("arguments"), unfinished)


def message_of(place: int, told: str) -> dict[str, JSONValue]:
    """Return the item that stands where a tool call was denied."""
    return {
        "content": [{"annotations": [], "text": told, "type": "output_text"}],
        "id": f"msg_helm_{place}",
        "role": "assistant",
        "status": "completed",
        "type": "message",
    }
