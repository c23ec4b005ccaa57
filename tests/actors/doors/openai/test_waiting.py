"""A request whose answer takes long: its client may leave, go silent or go on asking meanwhile."""

from __future__ import annotations

import json
import socket
from typing import Any, cast

import pytest
import trio
import trio.testing
from hypercorn.events import RawData
from hypercorn.trio.worker_context import WorkerContext

from actors.doors.http1 import Http1, Tasks
from actors.doors.serve import hypercorn_config
from tests.actors.doors.openai.lane import Lane, answered, call, completion, open_lane
from tests.actors.doors.street import SOON_S, raw_request
from tests.actors.kit import House

BODY = b'{"model": "gpt-test", "messages": [{"role": "user", "content": "hi"}]}'
PATH = "/v1/chat/completions"


def asking(lane: Lane, body: bytes = BODY) -> bytes:
    return raw_request(lane.street.agent, body, path=PATH)


async def answers(client: trio.abc.Stream, count: int) -> list[Any]:
    """Return the documents of the next answers."""
    said = b""
    found: list[Any] = []
    with trio.fail_after(SOON_S):
        while len(found) < count:
            heading, there, rest = said.partition(b"\r\n\r\n")
            length = int(heading.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
            if there and len(rest) >= length:
                found.append(json.loads(rest[:length]))
                said = rest[length:]
                continue
            piece = await client.receive_some(65_536)
            assert piece, said
            said += piece
    return found


async def test_a_client_that_resets_its_connection_takes_its_question_back(house: House) -> None:
    asked, left = trio.Event(), trio.Event()

    async def thinking(stream: trio.abc.Stream) -> None:
        asked.set()
        assert await stream.receive_some(1) == b""
        left.set()

    async with open_lane(house) as lane:
        lane.upstream.answer = thinking
        with trio.fail_after(SOON_S):
            async with lane.street.connected() as client:
                reset = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # linger for no time: the close is a reset
                client.stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
                await client.stream.send_all(asking(lane))
                await asked.wait()
            await left.wait()
        assert (await lane.receipts()) == []


async def test_a_client_that_has_nothing_more_to_say_gets_its_answer(house: House) -> None:
    async with open_lane(house, answered(completion(call("get_weather")))) as lane, lane.street.connected() as client:
        await client.stream.send_all(asking(lane))
        await client.stream.send_eof()
        (document,) = await answers(client.stream, 1)
        (receipt,) = await lane.receipts()
    assert document["choices"][0]["message"]["tool_calls"][0]["id"] == receipt["idempotency_key"] == "call_1"


@pytest.mark.parametrize("cut", [0, 40])
async def test_questions_that_come_together_are_answered_one_after_the_other(house: House, cut: int) -> None:
    at_once, most = 0, 0

    async def thinking(stream: trio.abc.Stream) -> None:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await trio.testing.wait_all_tasks_blocked()
        number = len(lane.upstream.requests)
        at_once -= 1
        await stream.send_all(answered(completion(content=f"answer {number}")))

    async with open_lane(house) as lane, lane.street.connected() as client:
        lane.upstream.answer = thinking
        questions = asking(lane) * 3
        await client.stream.send_all(questions[: len(questions) - cut])
        if cut:
            await trio.testing.wait_all_tasks_blocked()
            await client.stream.send_all(questions[-cut:])
        documents = await answers(client.stream, 3)
    said = [document["choices"][0]["message"]["content"] for document in documents]
    assert (said, most) == (["answer 1", "answer 2", "answer 3"], 1)


@pytest.mark.parametrize("pieces", [1, 2])
async def test_a_body_that_came_with_its_heading_is_given_in_one_piece(pieces: int) -> None:
    said: list[bytes] = []
    given: list[Any] = []

    async def send(event: Any) -> None:
        said.append(getattr(event, "data", b""))

    async def app(scope: Any, receive: Any, send: Any, *_: Any) -> None:
        while not given or given[-1]["more_body"]:
            given.append(await receive())
        assert (scope["path"], scope["method"], dict(scope["headers"])[b"host"]) == ("/x", "POST", b"h")
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})

    request = b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 4\r\n\r\nbody"
    cut = len(request) if pieces == 1 else len(request) - 2
    async with Tasks() as tasks:
        context, state = WorkerContext(None), cast(Any, {})
        protocol = Http1(cast(Any, app), hypercorn_config(), context, tasks, state, False, None, None, send)
        protocol.lasting = frozenset({b"/x"})
        for piece in (request[:cut], request[cut:]):
            if piece:
                await protocol.handle(RawData(piece))
    assert b"".join(message["body"] for message in given) == b"body"
    assert len(given) == 1 or pieces == 2
    assert b"".join(said).startswith(b"HTTP/1.1 200 ") and b"".join(said).endswith(b"ok")


async def test_a_bug_of_ours_in_a_long_answer_is_a_500(
    caplog: pytest.LogCaptureFixture,
) -> None:
    said: list[bytes] = []

    async def send(event: Any) -> None:
        said.append(getattr(event, "data", b""))

    async def app(scope: Any, receive: Any, send: Any, *_: Any) -> None:
        raise LookupError("a bug with " + (await receive())["body"].decode())

    context, state = WorkerContext(None), cast(Any, {})
    async with Tasks() as tasks:
        protocol = Http1(cast(Any, app), hypercorn_config(), context, tasks, state, False, None, None, send)
        protocol.lasting = frozenset({b"/x"})
        await protocol.handle(RawData(b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{}"))
    assert b"".join(said).startswith(b"HTTP/1.1 500 ") and b"a bug with" not in b"".join(said)
    assert "a bug with {}" in caplog.text
