"""A whole answer of chat completions: which tool calls it asks for, and the answer without those that were denied."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import attrs

from helm.contracts.form import JSONValue
from helm.openai.ask import Ask, Ruling, a_list, an_object, ask_of, check_asks, not_an_answer, text_or_null

MESSAGE: Final = frozenset({"annotations", "audio", "content", "reasoning", "reasoning_content", "refusal", "role"})
"""What is handed on of a message besides its tool calls: a client acts on nothing that was not looked at."""

CHOICE: Final = frozenset({"finish_reason", "index", "logprobs"})
TOOL_CALLS: Final = "tool_calls"


@attrs.frozen
class ChatAnswer:
    """One answer: the document, its only choice, and what it asks for."""

    document: dict[str, Any]
    choice: dict[str, Any]
    message: dict[str, Any]
    asks: tuple[Ask, ...]

    @property
    def usage(self) -> JSONValue:
        """Return what the model says it used."""
        return self.document.get("usage")

    def ruled(self, rulings: Mapping[str, Ruling]) -> dict[str, JSONValue]:
        """Return the answer for the client: allowed calls with the bytes that were judged, words for the others."""
        allowed, told = sort_out(self.asks, rulings)
        message = {name: value for name, value in self.message.items() if name in MESSAGE}
        if told:
            message["content"] = joined(message.get("content"), told)
        if allowed:
            message[TOOL_CALLS] = [call_of(ask, rulings[ask.call_id]) for ask in allowed]
        choice = {name: value for name, value in self.choice.items() if name in CHOICE}
        choice |= {"finish_reason": finish(self.choice["finish_reason"], bool(allowed)), "message": message}
        return self.document | {"choices": [choice]}


def read_chat(document: JSONValue) -> ChatAnswer:
    """Return the answer that a document is. Raises Refused."""
    whole = an_object(document, "the answer")
    choice = only_choice(whole)
    if choice is None:
        raise not_an_answer("the answer has no choice")
    message = an_object(choice.get("message"), "the message")
    if type(choice.get("finish_reason")) is not str:
        raise not_an_answer("the answer does not say why it ended")
    check_message(message)
    return ChatAnswer(whole, choice, message, check_asks(asks_in(message)))


def only_choice(whole: Mapping[str, JSONValue]) -> dict[str, Any] | None:
    """Return the one choice of an answer or chunk, None for none. Raises Refused for several."""
    choices = a_list(whole.get("choices"), "choices")
    if not choices:
        return None
    choice = an_object(choices[0], "a choice")
    if len(choices) > 1 or choice.get("index", 0) != 0:
        raise not_an_answer("the answer has several choices: which one would be acted on?")
    return choice


def check_message(message: Mapping[str, JSONValue]) -> None:
    """Raise Refused for a message, or a part of one, that holds more than text and tool calls."""
    if message.get("function_call") is not None:
        raise not_an_answer("the answer asks for a legacy function_call: only tool_calls are governed")
    for name in ("content", "refusal", "reasoning", "reasoning_content"):
        text_or_null(message.get(name), name)


def asks_in(message: Mapping[str, JSONValue]) -> Iterator[Ask]:
    """Yield what a message asks for. Raises Refused."""
    for number, given in enumerate(a_list(message.get(TOOL_CALLS), TOOL_CALLS)):
        call = an_object(given, f"tool call {number}")
        if call.get("type", "function") != "function":
            raise not_an_answer(f"tool call {number} is of a type that is not governed")
        function = an_object(call.get("function"), f"the function of tool call {number}")
        yield ask_of(call.get("id"), function.get("name"), function.get("arguments"))


def sort_out(asks: Sequence[Ask], rulings: Mapping[str, Ruling]) -> tuple[list[Ask], list[str]]:
    """Return the asks that are handed on, and what is told of the others."""
    allowed = [ask for ask in asks if not rulings[ask.call_id].told]
    return allowed, [rulings[ask.call_id].told for ask in asks if rulings[ask.call_id].told]


def call_of(ask: Ask, ruling: Ruling) -> dict[str, JSONValue]:
    """Return an allowed tool call: what was hashed is what is handed on (T2)."""
    return {
        "function": {"arguments": ruling.arguments, "name": ask.tool},
        "id": ask.call_id,
        "type": "function",
    }


def joined(content: JSONValue, told: Sequence[str]) -> str:
    """Return the model's words and HELM's."""
    return "\n\n".join([*([content] if content else []), *told])


def finish(reason: str, calls: bool) -> str:
    """Return why the answer ended, as the client is told: nobody waits for calls that are not there."""
    if reason in ("tool_calls", "function_call") and not calls:
        return "stop"
    return reason
