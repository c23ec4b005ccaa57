"""A server's questions reach the one client whose calls it executes, and nobody else."""

from __future__ import annotations

import json
from typing import Any

import pytest
import trio
from mcp_types import ElicitRequest, ElicitRequestFormParams, ElicitResult, ErrorData

from actors.connectors.mcp import McpConnector
from actors.connectors.mcp_back import Back
from actors.connectors.port import NotDispatched
from actors.doors.mcp.line import CallLine, Client
from actors.doors.mcp.wire import Reply
from actors.line import NotGranted
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.guardian.bundle_servers import MAX_BYTES
from helm.guardian.connection import McpConnection
from tests.actors.connectors.orders import order

PARAMS = ElicitRequestFormParams(message="Which?", requested_schema={"type": "object", "properties": {}})
METHOD = "elicitation/create"


class Asked:
    """A line that notes what it is asked."""

    wants_progress = False

    def __init__(self, client: object, answer: Any) -> None:
        self.client, self.answer = client, answer
        self.asked: list[str] = []

    def wanted(self) -> trio.CancelScope:
        return trio.CancelScope()

    async def progress(self, progress: float, total: float | None, message: str | None) -> None:
        raise AssertionError

    async def tell(self, method: str, params: JSONValue) -> None:
        raise AssertionError

    async def ask(self, tool: str, params: JSONValue) -> JSONValue:
        self.asked.append(tool)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def request(self, method: str, params: JSONValue) -> JSONValue:
        raise AssertionError


async def elicited(back: Back) -> Any:
    """Have the server ask without saying for which call, as older revisions do."""
    return await back.callbacks()["elicitation_callback"](None, PARAMS)


async def test_the_client_of_the_only_call_is_asked() -> None:
    back, line = Back("small", frozenset({METHOD})), Asked("one", {"action": "decline"})
    with back.under_way(line), back.under_way(Asked("one", None)), back.under_way(line):
        assert await elicited(back) == ElicitResult(action="decline")
    assert line.asked == ["small/elicitation/create"]


@pytest.mark.parametrize("other", ["another client's", "nobody's"])
async def test_no_client_is_asked_what_may_be_for_another(other: str) -> None:
    back, line = Back("small", frozenset({METHOD})), Asked("one", {"action": "accept"})
    with back.under_way(Asked("two", None) if other == "another client's" else None), back.under_way(line):
        refused = await elicited(back)
    assert isinstance(refused, ErrorData)
    assert "no one client" in refused.message
    assert isinstance(await elicited(back), ErrorData)
    assert line.asked == []


@pytest.mark.parametrize(
    ("answer", "says"), [(NotGranted("DENY BUDGET_EXCEEDED"), "BUDGET_EXCEEDED"), ({"action": 7}, "is none to")]
)
async def test_what_was_not_granted_or_is_no_answer_is_told_as_that(answer: Any, says: str) -> None:
    back = Back("small", frozenset({METHOD}))
    with back.under_way(Asked("one", answer)):
        refused = await elicited(back)
    assert isinstance(refused, ErrorData)
    assert says in refused.message


async def test_what_the_policy_does_not_declare_is_not_offered_and_not_asked() -> None:
    back, line = Back("small", frozenset()), Asked("one", {"action": "accept"})
    assert back.callbacks() == {}
    refused = await back.answer(ElicitRequest(params=PARAMS), line)
    assert "declares no small/elicitation/create" in refused.message
    assert line.asked == []


def client(say: Any) -> Client:
    async def taken(body: bytes) -> bool:
        return bool(await say(body))

    return Client(taken, frozenset({"elicitation"}))


async def test_an_answer_that_nobody_waits_for_is_nobodys() -> None:
    asked: list[bytes] = []

    async def say(body: bytes) -> bool:
        asked.append(body)
        return True

    one = client(say)
    one.answered(Reply("helm-1", {"action": "accept"}, ""))
    answers: list[Any] = []

    async def ask() -> None:
        answers.append(await one.ask(METHOD, {}))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(ask)
        while not asked:
            await trio.lowlevel.checkpoint()
        one.answered(Reply("helm-7", {"action": "accept"}, ""))
        one.answered(Reply("helm-1", {"action": "cancel"}, ""))
    assert answers == [{"action": "cancel"}]


async def test_a_call_that_was_taken_back_before_it_was_sent_was_not_sent() -> None:
    async def nothing(*_: Any) -> Any:
        raise AssertionError

    line = CallLine(client(nothing), nothing, None)
    line.take_back()
    connector = McpConnector(McpConnection(name="small", command=("true",), max_response_bytes=MAX_BYTES), {})
    with trio.fail_after(10), pytest.raises(NotDispatched, match="before it was sent"):
        await connector.dispatch(order({}, operation="sum", line=line))


async def test_nothing_of_a_callers_own_stands_in_the_meta_of_a_method() -> None:
    connector = McpConnector(McpConnection(name="small", command=("true",), max_response_bytes=MAX_BYTES), {})

    class Speaks:
        protocol_version = "2025-11-25"

    odd: tuple[Any, ...] = ({"uri": "note://one", "_meta": {"helm/permit": "x"}}, [], {"uri": 7})
    for arguments in odd:
        with pytest.raises(NotDispatched) as found:
            connector._request(Speaks(), "resources/read", order(arguments))  # type: ignore[arg-type]
        assert found.value.code is ReasonCode.SCHEMA_VIOLATION


async def test_progress_that_cannot_be_told_at_once_is_left_out_and_only_that() -> None:
    began, goes_on = trio.Event(), trio.Event()
    said: list[bytes] = []

    async def say(body: bytes) -> bool:
        said.append(body)
        began.set()
        await goes_on.wait()
        return True

    async def nothing(*_: Any) -> Any:
        raise AssertionError

    line = CallLine(client(say), nothing, 7)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(line.tell, "notifications/message", {})
        await began.wait()
        nursery.start_soon(line.progress, 1.0, None, None)
        while len(said) < 2:
            await trio.lowlevel.checkpoint()
        await line.progress(2.0, None, None)
        goes_on.set()
    await line.progress(3.0, 3.0, "x" * 5000)
    assert [b'"progress":1' in said[1], b'"progress":3' in said[2], len(said)] == [True, True, 3]
    assert len(said[2]) < 1200


async def test_a_question_that_is_given_up_is_taken_back_from_the_client() -> None:
    said: list[Any] = []

    async def say(body: bytes) -> bool:
        said.append(json.loads(body))
        return True

    one = client(say)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(one.ask, METHOD, {})
        while not said:
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert [body["method"] for body in said] == [METHOD, "notifications/cancelled"]
    assert said[1]["params"]["requestId"] == said[0]["id"]
    one.answered(Reply("helm-1", {"action": "accept"}, ""))
