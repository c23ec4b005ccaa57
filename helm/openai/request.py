"""What a client asks a model for, and which results of tool calls it brings along."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

import attrs

from helm.contracts.errors import Malformed, Refused
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import parse
from helm.guardian.intake import NAME
from helm.openai.ask import MAX_DOCUMENT, written
from helm.openai.prices import MAX_TOKENS

CHAT: Final = "/chat/completions"
RESPONSES: Final = "/responses"

REQUEST: Final = "openai.request"
ANSWER: Final = "openai.answer"
RESULT: Final = "openai.tool_result"
"""Under these names stand the records of what names no tool of its own."""

DOOR: Final = "openai"
"""What decisions and receipts of the proxy say of the way in."""

WORDS: Final = frozenset({"input_text", "output_text", "refusal", "text"})
"""Parts of a message that are no more tokens than bytes."""

REMEMBERED: Final = ("conversation", "previous_response_id")
"""What lets the model's side add to a request what nobody here sees."""


@attrs.frozen(kw_only=True)
class Result:
    """One result of a tool call, as the client brings it: `call_id` is "" where it names none that could be ours."""

    call_id: str
    tool: str
    raw: bytes


@attrs.frozen(kw_only=True)
class Asked:
    """One request. `output_tokens` is the most that the client allows, 0 where it does not say."""

    model: str
    stream: bool
    output_tokens: int
    results: tuple[Result, ...]


def read_request(raw: bytes, path: str, *, island: bool) -> Asked:
    """Return what a body asks for. Raises Refused, and Malformed for what is no JSON."""
    body = parse(raw, max_bytes=MAX_DOCUMENT)
    if type(body) is not dict:
        raise Malformed("the body is not an object", "/")
    model, stream = body.get("model"), body.get("stream") or False
    if type(model) is not str or not model or type(stream) is not bool:
        raise not_a_request("a request names its model, and says by true or false whether it wants a stream")
    for tool in many(body, "tools"):
        check_tool(tool, island=island)
    if path == CHAT:
        check_chat(body, island=island)
        results, most = results_of_chat(body), limit(body, ("max_completion_tokens", "max_tokens"))
    else:
        check_responses(body, island=island)
        results, most = results_of_responses(body), limit(body, ("max_output_tokens",))
    return Asked(model=model, stream=stream, output_tokens=most, results=tuple(results))


def check_tool(tool: JSONValue, *, island: bool) -> None:
    """Raise Refused for a tool that the model's side executes itself, before anybody could judge it."""
    if type(tool) is not dict or tool.get("type") != "function":
        raise ungoverned("a tool of another type than function is executed where HELM cannot judge it", island=island)


def check_chat(body: Mapping[str, Any], *, island: bool) -> None:
    """Raise Refused for what chat completions can ask for and nobody here could govern."""
    if body.get("n") not in (None, 1):
        raise not_a_request("several choices are not governed: ask for n = 1")
    if body.get("functions") or body.get("function_call"):
        raise not_a_request("legacy functions are not governed: use tools")
    if island:
        check_words(many(body, "messages"))
    if body.get("web_search_options") is not None:
        raise ungoverned("a web search is executed where HELM cannot judge it", island=island)


def check_responses(body: Mapping[str, Any], *, island: bool) -> None:
    """Raise Refused for what the responses API can ask for and nobody here could govern."""
    if body.get("background"):
        raise not_a_request("an answer in the background is fetched past HELM: ask for it directly")
    if body.get("prompt") is not None:
        raise ungoverned("HELM cannot see which tools a stored prompt brings along", island=island)
    if island and any(body.get(name) is not None for name in REMEMBERED):
        raise ungoverned("in island mode a request carries all of its conversation", island=True)
    if island and type(body.get("input")) is not str:
        check_words(many(body, "input"))


def check_words(messages: list[Any]) -> None:
    """Raise Refused for images, sounds and files: nobody knows beforehand what they cost, or who fetches them."""
    for message in messages:
        content = message.get("content") if type(message) is dict else None
        for part in content if type(content) is list else ():
            if type(part) is not dict or part.get("type") not in WORDS:
                raise ungoverned("in island mode messages are made of text", island=True)


def ungoverned(what: str, *, island: bool) -> Refused:
    """Return the refusal of what would happen out of reach."""
    return Refused(ReasonCode.ERR_ISLAND_MODE_RESTRICTED if island else ReasonCode.ENVELOPE_INVALID, what)


def not_a_request(what: str) -> Refused:
    """Return the refusal of a request that is not what it should be."""
    return Refused(ReasonCode.ENVELOPE_INVALID, what)


def results_of_chat(body: Mapping[str, Any]) -> Iterator[Result]:
    """Yield every result in the messages, with the tool that its call named."""
    tools: dict[str, str] = {}
    for message in many(body, "messages"):
        if type(message) is not dict:
            raise not_a_request("a message is not an object")
        role = message.get("role")
        for call in many(message, "tool_calls"):
            if type(call) is dict and type(call.get("function")) is dict:
                tools[str(call.get("id"))] = plain(call["function"].get("name"))
        if role in ("tool", "function"):
            yield result(message.get("tool_call_id") if role == "tool" else None, tools, message)


def results_of_responses(body: Mapping[str, Any]) -> Iterator[Result]:
    """Yield every result in the input. Whatever else was executed for the client counts as one too."""
    if type(body.get("input")) is str:
        return
    tools: dict[str, str] = {}
    for item in many(body, "input"):
        if type(item) is not dict:
            raise not_a_request("an item of the input is not an object")
        kind = str(item.get("type") or "message")
        if kind == "function_call":
            tools[str(item.get("call_id"))] = plain(item.get("name"))
        elif kind == "function_call_output":
            yield result(item.get("call_id"), tools, item)
        elif kind not in ("message", "reasoning", "item_reference"):
            yield result(None, tools, item)


def result(call_id: JSONValue, tools: Mapping[str, str], found: dict[str, Any]) -> Result:
    """Return one result. What names no call is one that nobody governed."""
    name = plain(call_id)
    return Result(call_id=name, tool=tools.get(name) or RESULT, raw=written(found))


def many(body: Mapping[str, Any], name: str) -> list[Any]:
    """Return a member that is a list, an empty one where it is missing. Raises Refused."""
    value = body.get(name)
    if value is None:
        return []
    if type(value) is not list:
        raise not_a_request(f"{name} is not a list")
    return value


def plain(value: JSONValue) -> str:
    """Return a name that can stand in a record, "" for anything else."""
    return value if type(value) is str and NAME.fullmatch(value) else ""


def limit(body: Mapping[str, Any], names: tuple[str, ...]) -> int:
    """Return the most tokens that may be answered, 0 where the request does not say. Raises Refused."""
    given = [body[name] for name in names if body.get(name) is not None]
    if not all(type(value) is int and 0 < value <= MAX_TOKENS for value in given):
        raise not_a_request(f"{' and '.join(names)} are whole numbers from 1 to {MAX_TOKENS}")
    return max(given, default=0)
