"""Bodies that are not what they should be, from the client and from the model's side."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from tests.actors.connectors.server import ok
from tests.actors.doors.openai.lane import answered, call, completion, open_lane, result_of
from tests.actors.kit import House

BOTH = completion(call("get_weather"))
TWICE = completion(call("get_weather"), call("get_weather"))


def with_choice(**members: Any) -> dict[str, Any]:
    changed = completion(call("get_weather"))
    changed["choices"][0] |= members
    return changed


def with_two_choices() -> dict[str, Any]:
    changed = completion(content="a")
    changed["choices"].append(completion(call("get_weather"))["choices"][0] | {"index": 1})
    return changed


JSON = b"Content-Type: application/json"

HOSTILE: dict[str, bytes] = {
    "gzip": ok(gzip.compress(json.dumps(BOTH).encode()), JSON, b"Content-Encoding: gzip"),
    "gzip that is not told": ok(gzip.compress(json.dumps(BOTH).encode()), JSON),
    "no JSON": answered(b"<html>"),
    "half of one": answered(json.dumps(BOTH).encode()[:-7]),
    "a name that stands twice": answered(b'{"choices": [], "choices": []}'),
    "HTML by its type": ok(json.dumps(BOTH).encode(), b"Content-Type: text/html"),
    "no type": ok(json.dumps(BOTH).encode()),
    "a stream that nobody asked for": ok(b"data: [DONE]\n\n", b"Content-Type: text/event-stream"),
    "ten megabytes": answered(completion(content="x" * 10_000_000)),
    "several choices": answered(with_two_choices()),
    "one choice in the second place": answered(with_choice(index=1)),
    "no choice": answered(completion() | {"choices": []}),
    "no reason": answered(with_choice(finish_reason=None)),
    "a legacy function call": answered(completion(function_call={"name": "get_weather", "arguments": "{}"})),
    "a call of another type": answered(completion(call("get_weather") | {"type": "custom"})),
    "a call without a function": answered(completion({"id": "c", "type": "function"})),
    "a call without an id": answered(completion(call("get_weather") | {"id": None})),
    "an id that no record holds": answered(completion(call("get_weather", call_id="a b"))),
    "a name that no record holds": answered(completion(call("wetter\u202e"))),
    "two calls with one id": answered(TWICE),
    "content that is a list": answered(completion(content=[{"type": "tool_use"}])),  # type: ignore[arg-type]
    "a list": answered([BOTH]),
    "another success": ok(json.dumps(BOTH).encode(), JSON, status=b"201 Created"),
}


@pytest.mark.parametrize("attack", HOSTILE)
async def test_a_hostile_answer_is_refused_with_a_receipt_over_its_bytes(house: House, attack: str) -> None:
    async with open_lane(house, HOSTILE[attack]) as lane:
        reply = await lane.refused()
        (receipt,) = await lane.receipts()
    error = reply.json()["error"]
    assert (reply.status, error["code"]) == (502, "ENVELOPE_INVALID")
    assert (receipt["tool"], receipt["status"]) == ("openai.answer", "DENIED")
    assert error["receipt_id"] == receipt["receipt_id"] == reply.headers["x-helm-receipt-id"]
    assert b'"tool_calls"' not in reply.body


ASKED: dict[str, tuple[bytes, dict[str, str], int]] = {
    "ten megabytes": (b"x" * 10_000_000, {}, 413),
    "gzip": (gzip.compress(b"{}"), {"content-encoding": "gzip"}, 415),
    "text": (b"{}", {"content-type": "text/plain"}, 415),
    "no JSON": (b"{", {}, 400),
    "no object": (b"[]", {}, 400),
    "a name that stands twice": (b'{"model": "a", "model": "b"}', {}, 400),
    "several choices": (b'{"model": "a", "n": 2, "messages": []}', {}, 403),
    "legacy functions": (b'{"model": "a", "functions": [{"name": "x"}]}', {}, 403),
    "a tool of the model's side": (b'{"model": "a", "tools": [{"type": "custom"}]}', {}, 403),
    "a web search": (b'{"model": "a", "web_search_options": {}}', {}, 403),
    "messages that are no list": (b'{"model": "a", "messages": {}}', {}, 403),
    "an endless answer": (b'{"model": "a", "max_tokens": 99999999}', {}, 403),
}


@pytest.mark.parametrize("attack", ASKED)
async def test_a_hostile_request_is_refused_with_a_receipt_and_never_asked(house: House, attack: str) -> None:
    raw, headers, status = ASKED[attack]
    async with open_lane(house, answered(completion(content="hi"))) as lane:
        reply = await lane.street.ask("POST", "/v1/chat/completions", raw, **headers)
        (receipt,) = await lane.receipts()
        assert lane.upstream.requests == []
    assert (reply.status, reply.json()["error"]["code"]) == (status, "ENVELOPE_INVALID")
    assert (receipt["tool"], receipt["status"]) == ("openai.request", "DENIED")


async def test_a_legacy_function_result_is_a_bypass(house: House) -> None:
    messages = [{"role": "function", "name": "get_weather", "content": "sunny"}]
    async with open_lane(house) as lane:
        reply = await lane.refused(messages=messages)
    assert reply.json()["error"]["code"] == "PROVENANCE_FAILURE"


async def test_a_result_that_names_no_call_is_a_bypass(house: House) -> None:
    messages = [{"role": "tool", "content": "sunny"}]
    async with open_lane(house) as lane:
        reply = await lane.refused(messages=messages)
    assert reply.json()["error"]["code"] == "PROVENANCE_FAILURE"


async def test_one_stranger_among_governed_results_is_found(house: House) -> None:
    async with open_lane(house, answered(completion(call("get_weather")))) as lane:
        await lane.chat()
        reply = await lane.refused(messages=[*result_of("call_1"), *result_of("call_7")])
    assert reply.json()["error"]["code"] == "PROVENANCE_FAILURE"


@pytest.mark.parametrize(("method", "path"), [("GET", "/v1/chat/completions"), ("POST", "/v1/models")])
async def test_another_method_is_told_in_openais_way(house: House, method: str, path: str) -> None:
    async with open_lane(house) as lane:
        reply = await lane.street.ask(method, path)
    assert reply.status == 405
    assert reply.json()["error"]["type"] == "helm_error"


async def test_an_operators_key_makes_no_calls(house: House) -> None:
    async with open_lane(house) as lane:
        reply = await lane.street.ask("POST", "/v1/chat/completions", {}, key=lane.street.admin)
    assert reply.status == 403


async def test_nothing_is_served_there_without_an_upstream(house: House) -> None:
    from tests.actors.doors.street import open_street

    async with open_street(house) as street:
        assert (await street.ask("POST", "/v1/chat/completions", {})).status == 404


@pytest.mark.parametrize(("session", "status"), [("two words", 400), ("x" * 300, 400), ("auto-of-another-1", 403)])
async def test_a_session_that_cannot_be_the_clients_is_refused(house: House, session: str, status: int) -> None:
    async with open_lane(house) as lane:
        given = {"model": "gpt-test", "messages": []}
        reply = await lane.street.ask("POST", "/v1/chat/completions", given, x_helm_session=session)
        assert lane.upstream.requests == []
    assert reply.status == status
    assert reply.json()["error"]["type"] == "helm_error"


def in_chunks(raw: bytes, count: int) -> bytes:
    """Return an answer whose body comes in so many chunks."""
    size = -(-len(raw) // count)
    chunks = [raw[at : at + size] for at in range(0, len(raw), size)]
    framed = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks)
    heading = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    return heading + framed + b"0\r\n\r\n"


@pytest.mark.parametrize(("count", "status"), [(4, 200), (5, 502)])
async def test_an_answer_that_comes_in_too_many_pieces_is_refused(
    house: House, monkeypatch: pytest.MonkeyPatch, count: int, status: int
) -> None:
    monkeypatch.setattr("actors.doors.openai.exchange.MAX_PIECES", 4)
    async with open_lane(house, in_chunks(json.dumps(completion(content="hello")).encode(), count)) as lane:
        body = {"model": "gpt-test", "messages": [{"role": "user", "content": "hi"}]}
        reply = await lane.street.ask("POST", "/v1/chat/completions", body)
        assert reply.status == status, reply.body
        assert [one["reason_code"] for one in await lane.receipts(status="DENIED")] == (
            ["ENVELOPE_INVALID"] if status == 502 else []
        )


@pytest.mark.parametrize(("too_long", "status"), [(0, 200), (1, 502)])
async def test_an_answer_that_is_too_long_is_refused(house: House, too_long: int, status: int) -> None:
    raw = json.dumps(completion(content="x" * 5000)).encode()
    answer = in_chunks(raw, 3)
    async with open_lane(house, answer, proxy_max_answer_bytes=len(raw) - too_long) as lane:
        body = {"model": "gpt-test", "messages": [{"role": "user", "content": "hi"}]}
        reply = await lane.street.ask("POST", "/v1/chat/completions", body)
        assert reply.status == status, reply.body
