"""OpenAI's own client against the proxy: the responses API, in one piece and streamed."""

from __future__ import annotations

from typing import Any

import openai
import pytest

from tests.actors.doors.openai.lane import Lane, answered, open_lane, streamed
from tests.actors.kit import House

USED = {
    "input_tokens": 10,
    "output_tokens": 5,
    "total_tokens": 15,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens_details": {"reasoning_tokens": 0},
}


def message(text: str = "Hello") -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [part]}


def function(name: str = "get_weather", arguments: Any = '{"city": "Oslo"}', call_id: str = "call_1") -> dict[str, Any]:
    return {
        "id": f"fc_{call_id}",
        "type": "function_call",
        "status": "completed",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def response(*output: dict[str, Any], status: str = "completed") -> dict[str, Any]:
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 1,
        "status": status,
        "model": "gpt-test",
        "output": list(output),
        "usage": USED,
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "error": None,
    }


def events(*output: dict[str, Any], end: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """Return the events of a whole stream, as a model's side tells them."""
    told: list[dict[str, Any]] = [{"type": "response.created", "response": response(status="in_progress")}]
    for place, item in enumerate(output):
        at = {"output_index": place, "item_id": item["id"]}
        if item["type"] == "message":
            part = item["content"][0]
            told += [
                {"type": "response.output_item.added", "output_index": place, "item": item | {"content": []}},
                at | {"type": "response.content_part.added", "content_index": 0, "part": part | {"text": ""}},
                at | {"type": "response.output_text.delta", "content_index": 0, "delta": part["text"], "logprobs": []},
                at | {"type": "response.output_text.done", "content_index": 0, "text": part["text"], "logprobs": []},
                at | {"type": "response.content_part.done", "content_index": 0, "part": part},
            ]
        else:
            begun = item | {"arguments": "", "status": "in_progress"}
            told.append({"type": "response.output_item.added", "output_index": place, "item": begun})
            told += [at | {"type": "response.function_call_arguments.delta", "delta": one} for one in item["arguments"]]
            told.append(at | {"type": "response.function_call_arguments.done", "arguments": item["arguments"]})
        told.append({"type": "response.output_item.done", "output_index": place, "item": item})
    told.append(end or {"type": "response.completed", "response": response(*output)})
    return [event | {"sequence_number": number} for number, event in enumerate(told)]


def stream_of(*output: dict[str, Any]) -> bytes:
    return streamed(*events(*output), end=b"", name_them=True)


def ask(client: openai.OpenAI) -> Any:
    return client.responses.create(model="gpt-test", input="hi")


def follow(client: openai.OpenAI) -> Any:
    """Have the client put the answer together from the events itself, and return what it comes to."""
    with client.responses.stream(model="gpt-test", input="hi") as stream:
        for _ in stream:
            pass
        return stream.get_final_response()


@pytest.mark.parametrize("work", [ask, follow])
async def test_an_allowed_call_comes_with_the_bytes_that_were_judged(house: House, work: Any) -> None:
    async with open_lane(house) as lane:
        lane.plays(answered(response(message(), function())) if work is ask else stream_of(message(), function()))
        found = await lane.client(work)
        (receipt,) = await lane.receipts()
    assert [item.type for item in found.output] == ["message", "function_call"]
    assert found.output[1].arguments == '{"city":"Oslo"}'
    assert found.output[1].call_id == receipt["idempotency_key"] == "call_1"
    assert found.output_text == "Hello"


@pytest.mark.parametrize("work", [ask, follow])
async def test_a_denied_call_is_replaced_by_words_in_its_place(house: House, work: Any) -> None:
    items = (function("rm_rf", "{}", "call_9"), function(), message("Bye"))
    async with open_lane(house) as lane:
        lane.plays(answered(response(*items)) if work is ask else stream_of(*items))
        found = await lane.client(work)
    assert [item.type for item in found.output] == ["message", "function_call", "message"]
    assert "rm_rf: NO_POLICY_DEFINED" in found.output[0].content[0].text
    assert found.output[2].content[0].text == "Bye"


async def test_the_result_of_a_governed_call_is_taken_and_that_of_another_is_a_bypass(house: House) -> None:
    def bring(call_id: str) -> Any:
        result = {"type": "function_call_output", "call_id": call_id, "output": "sunny"}
        given: Any = [function(call_id=call_id), result]
        return lambda client: client.responses.create(model="gpt-test", input=given)

    async with open_lane(house, answered(response(function()))) as lane:
        await lane.client(ask)
        lane.plays(answered(response(message("sunny then"))))
        assert (await lane.client(bring("call_1"))).output_text == "sunny then"
        with pytest.raises(openai.PermissionDeniedError) as refused:
            await lane.client(bring("call_2"))
        record = await lane.record_of((await lane.receipts())[-1]["receipt_id"])
    assert refused.value.code == "PROVENANCE_FAILURE"
    assert (record["tool_name"], record["direct_dispatch_seen"]) == ("get_weather", True)


@pytest.mark.parametrize(
    "kind", ["computer_call_output", "local_shell_call_output", "mcp_approval_response", "custom_tool_call_output"]
)
async def test_results_of_what_is_not_governed_are_bypasses(house: House, kind: str) -> None:
    async with open_lane(house) as lane:
        reply = await lane.refused("/responses", input=[{"type": kind, "call_id": "c", "output": "x"}], messages=None)
        assert lane.upstream.requests == []
    assert reply.json()["error"]["code"] == "PROVENANCE_FAILURE"


ASKED: dict[str, dict[str, Any]] = {
    "a tool of the model's side": {"tools": [{"type": "web_search"}]},
    "a tool server": {"tools": [{"type": "mcp", "server_label": "x", "server_url": "https://x.example"}]},
    "an answer in the background": {"background": True},
    "a stored prompt": {"prompt": {"id": "pmpt_1"}},
    "no model": {"model": ""},
    "a stream that is neither": {"stream": "yes"},
}


@pytest.mark.parametrize("what", ASKED)
async def test_what_cannot_be_governed_is_not_even_asked(house: House, what: str) -> None:
    async with open_lane(house) as lane:
        reply = await lane.refused("/responses", input="hi", messages=None, **ASKED[what])
        (receipt,) = await lane.receipts()
        assert lane.upstream.requests == []
    assert (reply.status, reply.json()["error"]["code"]) == (403, "ENVELOPE_INVALID")
    assert (receipt["tool"], receipt["status"]) == ("openai.request", "DENIED")


def without(kind: str) -> bytes:
    return streamed(*[event for event in events(function()) if event["type"] != kind], end=b"")


HOSTILE: dict[str, bytes] = {
    "ends early": streamed(*events(message(), function())[:-1], end=b""),
    "ends within a call": streamed(*events(function())[:6], end=b""),
    "a call that is never done": without("response.output_item.done"),
    "a call of which the end knows nothing": streamed(
        *events(function(), end={"type": "response.completed", "response": response(message())}), end=b""
    ),
    "a call of which only the end knows": streamed(
        *events(message(), end={"type": "response.completed", "response": response(message(), function())}), end=b""
    ),
    "failed": streamed({"type": "response.failed", "response": response(status="failed")}, end=b""),
    "a shell call": streamed(
        {"type": "response.output_item.added", "output_index": 0, "item": {"type": "local_shell_call"}}, end=b""
    ),
    "an event nobody knows": streamed({"type": "response.tool_calls.new", "output_index": 0}, end=b""),
    "an event without a type": streamed({"output_index": 0}, end=b""),
    "words of a call": streamed(
        *events(function())[:2], {"type": "response.output_text.delta", "output_index": 0, "delta": "x"}, end=b""
    ),
    "behind the end": streamed(*events(message()), *events(function()), end=b""),
}


@pytest.mark.parametrize("attack", HOSTILE)
async def test_a_hostile_stream_is_refused_with_a_receipt(house: House, attack: str) -> None:
    async with open_lane(house, HOSTILE[attack]) as lane:
        reply = await lane.refused("/responses", input="hi", messages=None, stream=True)
        (receipt,) = await lane.receipts()
    assert (reply.status, reply.json()["error"]["code"]) == (502, "ENVELOPE_INVALID")
    assert reply.json()["error"]["receipt_id"] == receipt["receipt_id"]


@pytest.mark.parametrize(
    "document",
    [
        response(status="in_progress"),
        response({"type": "computer_call", "id": "c"}),
        response(function(call_id="with blank")),
        response(function(), function()),
        [],
    ],
    ids=["not complete", "a computer call", "no id", "one id twice", "no object"],
)
async def test_a_hostile_answer_is_refused_with_a_receipt(house: House, document: Any) -> None:
    async with open_lane(house, answered(document)) as lane:
        reply = await lane.refused("/responses", input="hi", messages=None)
    assert (reply.status, reply.json()["error"]["code"]) == (502, "ENVELOPE_INVALID")


@pytest.mark.parametrize("arguments", [{"city": "Oslo"}, "{", None])
async def test_arguments_that_are_no_string_of_json_are_denied(house: House, arguments: Any) -> None:
    async with open_lane(house, answered(response(function(arguments=arguments)))) as lane:
        found = await lane.client(ask)
        (receipt,) = await lane.receipts()
    assert [item.type for item in found.output] == ["message"]
    assert (receipt["tool"], receipt["reason_code"]) == ("get_weather", "SCHEMA_VIOLATION")


async def test_a_call_that_was_never_completed_is_denied(house: House) -> None:
    async with open_lane(house, answered(response(function() | {"status": "incomplete"}, status="incomplete"))) as lane:
        await lane.client(ask)
        (receipt,) = await lane.receipts()
    assert receipt["reason_code"] == "SCHEMA_VIOLATION"


async def told(lane: Lane) -> bytes:
    given = {"model": "gpt-test", "input": "hi", "stream": True}
    return (await lane.street.ask("POST", "/v1/responses", given)).body


async def test_early_text_goes_ahead_up_to_the_first_call(house: House) -> None:
    events_told = events(message(), function(), message("never"))[:-1]
    async with open_lane(house, streamed(*events_told, end=b""), proxy_early_text=True) as lane:
        said = await told(lane)
    assert b'"delta":"Hello"' in said
    assert b"get_weather" not in said
    assert b"never" not in said
    assert b"ENVELOPE_INVALID" in said
