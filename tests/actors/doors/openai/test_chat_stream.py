"""OpenAI's own client against the proxy: streams, honest ones and those that an attacker wrote (T9.5)."""

from __future__ import annotations

import gzip
import json
from typing import Any

import attrs
import openai
import pytest
import trio

from tests.actors.connectors.server import ok
from tests.actors.doors.openai.lane import (
    USAGE,
    Lane,
    answered,
    call,
    chunk,
    completion,
    fragment,
    open_lane,
    result_of,
    split_call,
    streamed,
)
from tests.actors.kit import House

HELLO = [chunk({"role": "assistant", "content": ""}), chunk({"content": "Hel"}), chunk({"content": "lo"})]
STOP = chunk({}, "stop")
CALLS = chunk({}, "tool_calls")
SPLIT = split_call("get_weather", '{"city": "Oslo"}')
DENIED = split_call("rm_rf", "{}", "call_9", index=1)
USED = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": [], "usage": USAGE}


def text_of(chunks: list[Any]) -> str:
    return "".join(one.choices[0].delta.content or "" for one in chunks if one.choices)


def calls_of(chunks: list[Any]) -> list[Any]:
    return [each for one in chunks if one.choices for each in one.choices[0].delta.tool_calls or []]


def finish_of(chunks: list[Any]) -> str:
    return str([one.choices[0].finish_reason for one in chunks if one.choices][-1])


async def test_text_streams_through(house: House) -> None:
    async with open_lane(house, streamed(*HELLO, STOP, USED)) as lane:
        chunks = await lane.chat_stream()
        assert await lane.receipts() == []
    assert (text_of(chunks), finish_of(chunks)) == ("Hello", "stop")
    assert chunks[-1].usage.total_tokens == 15


async def test_a_call_in_many_fragments_comes_as_one_with_the_bytes_that_were_judged(house: House) -> None:
    async with open_lane(house, streamed(*HELLO, *SPLIT, CALLS)) as lane:
        chunks = await lane.chat_stream()
        receipt = (await lane.receipts())[0]
    (given,) = calls_of(chunks)
    assert (given.id, given.function.name, given.function.arguments) == ("call_1", "get_weather", '{"city":"Oslo"}')
    assert (text_of(chunks), finish_of(chunks)) == ("Hello", "tool_calls")
    assert receipt["reason_code"] == "RELEASED_TO_CLIENT"


async def test_the_result_of_a_streamed_call_is_taken(house: House) -> None:
    async with open_lane(house, streamed(*SPLIT, CALLS)) as lane:
        await lane.chat_stream()
        lane.plays(streamed(*HELLO, STOP))
        assert text_of(await lane.chat_stream(result_of("call_1"))) == "Hello"


async def test_a_denied_call_of_a_stream_is_replaced_by_words(house: House) -> None:
    async with open_lane(house, streamed(*SPLIT, *DENIED, CALLS)) as lane:
        chunks = await lane.chat_stream()
    assert [one.function.name for one in calls_of(chunks)] == ["get_weather"]
    assert "rm_rf: NO_POLICY_DEFINED" in text_of(chunks)
    assert finish_of(chunks) == "tool_calls"


async def test_a_stream_whose_every_call_is_denied_ends_like_text(house: House) -> None:
    async with open_lane(house, streamed(*DENIED, CALLS)) as lane:
        chunks = await lane.chat_stream()
    assert (calls_of(chunks), finish_of(chunks)) == ([], "stop")


async def test_a_denied_call_refuses_the_whole_stream_where_the_settings_say_so(house: House) -> None:
    async with open_lane(house, streamed(*SPLIT, *DENIED, CALLS), proxy_denied="refuse") as lane:
        with pytest.raises(openai.PermissionDeniedError) as refused:
            await lane.chat_stream()
    assert refused.value.code == "NO_POLICY_DEFINED"


TWO_CHOICES = chunk({"content": "a"})
TWO_CHOICES["choices"].append({"index": 1, "delta": fragment(0, "{}", "get_weather", "call_2"), "finish_reason": None})
SECOND_CHOICE = chunk(fragment(0, "{}", "get_weather", "call_2"), index=1)
LEGACY = chunk({"function_call": {"name": "get_weather", "arguments": "{}"}})
TYPED = chunk({"tool_calls": [{"index": 0, "id": "c", "type": "custom", "custom": {"name": "x", "input": "rm"}}]})

HOSTILE: dict[str, bytes] = {
    "ends before its end": streamed(*HELLO, *SPLIT, end=b""),
    "ends without a reason": streamed(*HELLO, *SPLIT),
    "ends within a fragment": streamed(*HELLO, *SPLIT[:4], end=b'data: {"id": "c1", "choi'),
    "a call that never gets a name": streamed(chunk(fragment(0, "{}", None, "call_1")), CALLS),
    "a call that never gets an id": streamed(chunk(fragment(0, "{}", "get_weather")), CALLS),
    "a call that gets two names": streamed(*SPLIT, chunk(fragment(0, "", "rm_rf")), CALLS),
    "a call that gets two ids": streamed(*SPLIT, chunk(fragment(0, "", None, "call_2")), CALLS),
    "two calls with one id": streamed(*SPLIT, *split_call("get_weather", "{}", "call_1", 1), CALLS),
    "a call behind the end": streamed(*HELLO, STOP, *SPLIT),
    "anything behind the very end": streamed(*HELLO, STOP, end=b"data: [DONE]\n\ndata: {}\n\n"),
    "several choices": streamed(TWO_CHOICES, CALLS),
    "a second choice on its own": streamed(*HELLO, SECOND_CHOICE, CALLS),
    "a legacy function call": streamed(LEGACY, chunk({}, "function_call")),
    "a call of another type": streamed(TYPED, CALLS),
    "a call in no place": streamed(chunk(fragment(-1, "{}", "get_weather", "call_1")), CALLS),
    "a name that stands twice": streamed(end=b'data: {"choices": [], "choices": []}\n\ndata: [DONE]\n\n'),
    "a bare carriage return": streamed(end=b'data: {"choices":[]}\r\rdata: [DONE]\n\n'),
    "an error": streamed({"error": {"message": "overloaded"}}),
    "no stream": answered(completion(call("get_weather"))),
    "no JSON": streamed(end=b"data: hello\n\ndata: [DONE]\n\n"),
    "tool calls that are no list": streamed(chunk({"tool_calls": {"0": {}}}), CALLS),
    "content that is no text": streamed(chunk({"content": [{"type": "tool_use"}]}), STOP),
    "gzip": ok(gzip.compress(b"data: [DONE]\n\n"), b"Content-Type: text/event-stream", b"Content-Encoding: gzip"),
    "gzip that is not told": ok(gzip.compress(b"data: [DONE]\n\n"), b"Content-Type: text/event-stream"),
    "ten megabytes": streamed(chunk({"content": "x" * 10_000_000}), STOP),
    "sixty-five calls": streamed(*(one for n in range(65) for one in split_call("get_weather", "", f"c{n}", n)), CALLS),
    "a redirect": ok(b"", b"Location: http://127.0.0.1:1/", status=b"307 Temporary Redirect"),
}


@pytest.mark.parametrize("attack", HOSTILE)
async def test_a_hostile_stream_is_refused_with_a_receipt_and_nothing_of_it_is_seen(house: House, attack: str) -> None:
    async with open_lane(house, HOSTILE[attack]) as lane:
        with pytest.raises(openai.InternalServerError) as refused:
            await lane.chat_stream()
        (receipt,) = await lane.receipts()
    assert refused.value.status_code == 502
    assert refused.value.code == receipt["reason_code"] == "ENVELOPE_INVALID"
    assert receipt["tool"] == "openai.answer"
    assert refused.value.response.headers["x-should-retry"] == "false"
    assert refused.value.response.headers["x-helm-receipt-id"] == receipt["receipt_id"]


async def test_arguments_that_are_no_string_are_denied(house: House) -> None:
    given = streamed(chunk(fragment(0, {"city": "Oslo"}, "get_weather", "call_1")), CALLS)
    async with open_lane(house, given) as lane:
        chunks = await lane.chat_stream()
        (receipt,) = await lane.receipts()
    assert calls_of(chunks) == []
    assert (receipt["tool"], receipt["reason_code"]) == ("get_weather", "SCHEMA_VIOLATION")


async def test_arguments_that_are_never_complete_are_denied(house: House) -> None:
    given = streamed(*split_call("get_weather", '{"city": "Os'), chunk({}, "length"))
    async with open_lane(house, given) as lane:
        chunks = await lane.chat_stream()
        (receipt,) = await lane.receipts()
    assert (calls_of(chunks), finish_of(chunks)) == ([], "length")
    assert (receipt["tool"], receipt["reason_code"]) == ("get_weather", "SCHEMA_VIOLATION")


async def raw_stream(lane: Lane) -> bytes:
    body = {"model": "gpt-test", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    return (await lane.street.ask("POST", "/v1/chat/completions", body)).body


async def test_early_text_goes_ahead_and_a_hostile_end_is_told_as_an_error(house: House) -> None:
    async with open_lane(house, HOSTILE["a call that gets two names"], proxy_early_text=True) as lane:
        lane.plays(streamed(*HELLO, *SPLIT, chunk(fragment(0, "", "rm_rf")), CALLS))
        said = await raw_stream(lane)
        (receipt,) = await lane.receipts()
    assert b'"content":"Hel"' in said
    assert b"get_weather" not in said
    assert b"[DONE]" not in said
    assert receipt["receipt_id"].encode() in said


async def test_early_text_holds_every_tool_call(house: House) -> None:
    async with open_lane(house, streamed(*HELLO, *SPLIT, CALLS), proxy_early_text=True) as lane:
        chunks = await lane.chat_stream()
    assert text_of(chunks) == "Hello"
    assert calls_of(chunks)[0].function.arguments == '{"city":"Oslo"}'


async def test_what_nobody_looked_at_is_not_handed_on(house: House) -> None:
    odd = chunk({"content": "x", "tool_code": "rm -rf", "x_tool_calls": [1]})
    odd["choices"][0]["message"] = {"tool_calls": [call("rm_rf")]}
    async with open_lane(house, streamed(odd, STOP)) as lane:
        said = await raw_stream(lane)
    assert b"rm" not in said


async def test_a_stream_that_hangs_is_given_up(house: House) -> None:
    async def hang(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: ")
        await trio.sleep_forever()

    async with open_lane(house, proxy_timeout_s=1.0) as lane:
        lane.upstream.answer = hang
        with pytest.raises(openai.InternalServerError) as refused:
            await lane.chat_stream()
    assert refused.value.code == "ERR_CONNECTOR_TIMEOUT"


async def test_an_answer_that_breaks_off_is_refused(house: House) -> None:
    async def break_off(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nContent-Type: application/json\r\n\r\n{")
        raise trio.BrokenResourceError  # and the server hangs up

    async with open_lane(house) as lane:
        lane.upstream.answer = break_off
        with pytest.raises(openai.InternalServerError) as refused:
            await lane.chat()
    assert refused.value.code == "ENVELOPE_INVALID"


async def test_an_upstream_that_is_not_there_is_told_as_such(house: House) -> None:
    async with open_lane(house) as lane:
        lane.door.upstream.place = attrs.evolve(lane.proxy.place, port=1)
        with pytest.raises(openai.InternalServerError) as refused:
            await lane.chat()
    assert refused.value.code == "ERR_CONNECTOR_ERROR"


@pytest.mark.parametrize(("status", "seen"), [(b"429 Too Many", 429), (b"401 Unauthorized", 502), (b"500 Oh", 500)])
async def test_an_error_of_the_upstreams_is_told_in_our_words(house: House, status: bytes, seen: int) -> None:
    error = {"error": {"message": "no", "type": "t", "code": "c", "tool_calls": [call("rm_rf")]}}
    given = ok(json.dumps(error).encode(), b"Content-Type: application/json", b"Retry-After: 7", status=status)
    async with open_lane(house, given) as lane:
        with pytest.raises(openai.APIStatusError) as refused:
            await lane.chat()
    assert refused.value.status_code == seen
    assert refused.value.type == "upstream_error"
    assert "rm_rf" not in refused.value.response.text
    assert refused.value.response.headers["retry-after"] == "7"
