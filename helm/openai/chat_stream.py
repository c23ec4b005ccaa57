"""A streamed answer of chat completions: text as it comes, tool calls only when all of them are whole and ruled on.

Seed, T9.5: fragments of tool calls are held until the whole stream has arrived. What a client gets of a tool call is
one chunk of ours, with the bytes that were judged; none of the model's own fragments reaches it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from helm.contracts.errors import Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import parse
from helm.openai.ask import MAX_ASKS, MAX_DOCUMENT, Ask, Ruling, a_list, an_object, ask_of, check_asks, not_an_answer
from helm.openai.chat import CHOICE, MESSAGE, TOOL_CALLS, call_of, check_message, finish, only_choice, sort_out
from helm.openai.sse import DONE, END, chunk_event


@attrs.define
class Fragments:
    """One tool call on its way: name and id come once, the arguments in any number of pieces."""

    call_id: str = ""
    tool: str = ""
    pieces: list[str] = attrs.field(factory=list)
    problem: str = ""

    def take(self, given: Mapping[str, Any]) -> None:
        """Add one fragment. Raises Refused for a second name or id: which one would be acted on?"""
        function = an_object(given.get("function") or {}, "the function of a tool call")
        self.call_id = once(self.call_id, given.get("id"), "id")
        self.tool = once(self.tool, function.get("name"), "name")
        arguments = function.get("arguments")
        if type(arguments) is str:
            self.pieces.append(arguments)
        elif arguments is not None:
            self.problem = "the arguments are not a string that holds JSON"

    def ask(self) -> Ask:
        """Return the whole call. Raises Refused where it has no name or id."""
        return ask_of(self.call_id, self.tool, "".join(self.pieces), self.problem)


@attrs.define
class ChatStream:
    """Reads one stream, event by event."""

    usage: JSONValue = None
    _calls: dict[int, Fragments] = attrs.field(factory=dict)
    _finish: dict[str, Any] | None = None
    """The chunk that says why the answer ended."""
    _behind: list[dict[str, Any]] = attrs.field(factory=list)
    """Chunks behind it: what was used."""
    _done: bool = False

    def feed(self, data: bytes) -> list[bytes]:
        """Return the events for the client that hold only text. Raises Refused."""
        if self._done:
            raise not_an_answer("the stream goes on behind its end")
        if data == DONE:
            self._done = True
            return []
        try:
            chunk = an_object(parse(data, max_bytes=MAX_DOCUMENT), "a chunk")
        except Malformed as problem:
            raise not_an_answer(f"a chunk is not acceptable JSON: {problem}") from problem
        if "error" in chunk:
            raise not_an_answer("the model's side broke off with an error")
        self.usage = chunk.get("usage") or self.usage
        choice = only_choice(chunk)
        if choice is None:
            if self._finish is not None:
                self._behind.append(chunk | {"choices": []})
            return []
        return self._take(chunk, choice)

    def _take(self, chunk: dict[str, Any], choice: dict[str, Any]) -> list[bytes]:
        if self._finish is not None:
            raise not_an_answer("the answer goes on behind its end")
        delta = an_object(choice.get("delta") or {}, "a delta")
        check_message(delta)
        for given in a_list(delta.get(TOOL_CALLS), TOOL_CALLS):
            self._take_fragment(an_object(given, "a tool call"))
        kept = {name: value for name, value in delta.items() if name in MESSAGE}
        if choice.get("finish_reason") is not None:
            if type(choice["finish_reason"]) is not str:
                raise not_an_answer("the answer does not say why it ended")
            self._finish = told(chunk, choice, kept)
            return []
        return [chunk_event(told(chunk, choice, kept))] if kept or not delta else []

    def _take_fragment(self, given: dict[str, Any]) -> None:
        if given.get("type", "function") not in ("function", None, ""):
            raise not_an_answer("a tool call is of a type that is not governed")
        index = given.get("index", 0)
        if type(index) is not int or not 0 <= index < MAX_ASKS:
            raise not_an_answer("a tool call has no place in its answer")
        self._calls.setdefault(index, Fragments()).take(given)

    def close(self) -> tuple[Ask, ...]:
        """Return all that is asked for. Raises Refused where the stream ended early or a call never was whole."""
        if not self._done or self._finish is None:
            raise not_an_answer("the stream ended early")
        return check_asks(self._calls[index].ask() for index in sorted(self._calls))

    def tail(self, asks: tuple[Ask, ...], rulings: Mapping[str, Ruling]) -> list[bytes]:
        """Return the rest for the client: the calls that are handed on, words for the others, and the end."""
        if self._finish is None:
            raise not_an_answer("the stream ended early")
        allowed, words = sort_out(asks, rulings)
        last = self._finish
        chunks = [with_delta(last, {"content": "\n\n" + word}) for word in words]
        for number, ask in enumerate(allowed):
            chunks.append(with_delta(last, {TOOL_CALLS: [{"index": number} | call_of(ask, rulings[ask.call_id])]}))
        choice = last["choices"][0]
        ended = choice | {"finish_reason": finish(choice["finish_reason"], bool(allowed))}
        return [*map(chunk_event, [*chunks, last | {"choices": [ended]}, *self._behind]), END]


def once(before: str, given: JSONValue, what: str) -> str:
    """Return a word that stands in exactly one fragment. Raises Refused."""
    if given is None or given == "":
        return before
    if type(given) is not str or before:
        raise not_an_answer(f"a tool call has more than one {what}")
    return given


def told(chunk: dict[str, Any], choice: dict[str, Any], delta: dict[str, Any]) -> dict[str, Any]:
    """Return a chunk with what was looked at, and nothing else."""
    kept = {name: value for name, value in choice.items() if name in CHOICE}
    return chunk | {"choices": [kept | {"delta": delta}]}


def with_delta(chunk: dict[str, Any], delta: dict[str, Any]) -> dict[str, Any]:
    """Return a chunk of ours in the likeness of the model's."""
    said = {name: value for name, value in chunk.items() if name != "usage"}
    return said | {"choices": [{"delta": delta, "finish_reason": None, "index": 0}]}
