"""The clients: every row is a method, a refusal is raised with its receipt, a lost answer is never taken for one."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any

import pytest
import trio

from actors.client.async_rows import AsyncRows
from actors.client.blocking import HelmClient
from actors.client.exchange import MAX_LINE_BYTES, Event, Events, NoAnswer, Problem, check_url, part
from actors.client.rows import Rows
from actors.client.under_trio import AsyncHelmClient
from conformance.client_files import LEFT_OUT
from helm.surfaces.table import TABLE
from tests.actors.doors.conftest import first_house, house, street
from tests.actors.doors.street import Street

__all__ = ["first_house", "house", "street"]


def url_of(street: Street) -> str:
    return f"http://{street.address.host}:{street.address.port}"


async def in_thread(work: Callable[[], Any]) -> Any:
    return await trio.to_thread.run_sync(work)


@pytest.mark.parametrize("client", [Rows, AsyncRows])
def test_every_row_is_a_method(client: type[Any]) -> None:
    methods = {name for name, one in vars(client).items() if inspect.isfunction(one) and not name.startswith("_")}
    assert methods == TABLE.keys() - LEFT_OUT
    assert all(inspect.iscoroutinefunction(vars(client)[name]) is (client is AsyncRows) for name in methods)


async def test_a_call_is_answered_refused_or_waits(street: Street) -> None:
    def work() -> None:
        with HelmClient(url_of(street), street.agent) as client:
            allowed = client.call("read", {"path": "a"})
            assert (allowed["verdict"], allowed["output"]) == ("ALLOW", {"n": 1})
            waits = client.call("asking", {})
            assert (waits["verdict"], waits["approval_id"][:4]) == ("ESCALATE", "apr_")
            with pytest.raises(Problem) as denied:
                client.call("nobody", {})
            assert (denied.value.status, denied.value.reason_code) == (403, "NO_POLICY_DEFINED")
            assert client.get_receipt(denied.value.receipt_id)["receipt"]["verdict"] == "DENY"

    await in_thread(work)


async def test_one_key_is_one_call_however_often_it_is_sent(street: Street) -> None:
    async with AsyncHelmClient(url_of(street), street.agent) as client:
        first = await client.call("read", {}, idempotency_key="once")
        again = await client.call("read", {}, idempotency_key="once")
        other = await client.call("read", {})
    assert (again["replayed"], again["receipt"]) == (True, first["receipt"])
    assert other["receipt"]["receipt_id"] != first["receipt"]["receipt_id"]


async def test_pages_hold_every_receipt_once(street: Street) -> None:
    async with AsyncHelmClient(url_of(street), street.agent) as client:
        made = [(await client.call("read", {}))["receipt"] for _ in range(5)]
        found = [one async for page in client.pages(client.list_receipts, limit=2) for one in page["receipts"]]
        sessions = [one async for page in client.pages(client.list_sessions, limit=1) for one in page["sessions"]]
    assert found == made
    assert len(sessions) == 1

    def work() -> None:
        with HelmClient(url_of(street), street.agent) as client:
            pages = list(client.pages(client.list_receipts, limit=2))
            assert [one for page in pages for one in page["receipts"]] == made

    await in_thread(work)


async def test_a_key_that_opens_nothing_and_a_name_that_is_not_there_are_problems(street: Street) -> None:
    async with AsyncHelmClient(url_of(street)) as nobody, AsyncHelmClient(url_of(street), street.agent) as client:
        with pytest.raises(Problem) as unknown:
            await nobody.list_receipts()
        with pytest.raises(Problem) as missing:
            await client.get_record("rec_none/../..")
        with pytest.raises(Problem) as strange:
            await client.open_session({"session": "x"})
    assert [one.value.status for one in (unknown, missing, strange)] == [401, 404, 400]
    assert strange.value.place == "/session"


async def test_the_tail_tells_of_receipts(street: Street) -> None:
    async with AsyncHelmClient(url_of(street), street.agent) as client:
        first = (await client.call("read", {}))["receipt"]
        with trio.fail_after(30):
            async with aclosing(client.tail("0")) as tail:
                event = await anext(tail)
    assert event.receipt == first


@asynccontextmanager
async def told(*answers: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve one answer after another, each on a connection that ends with it, and keep what was asked."""
    asked: list[bytes] = []
    left = list(answers)

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            asked.append(bytes(await stream.receive_some()))
            await stream.send_all(left.pop(0) if left else b"")

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        yield f"http://127.0.0.1:{listener.socket.getsockname()[1]}", asked
        nursery.cancel_scope.cancel()


EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"


async def test_a_tail_that_ends_goes_on_behind_the_last_event_that_was_seen() -> None:
    one, two = (EVENTS + b'id: %d\nevent: receipt\ndata: {"n": %d}\n\n' % (n, n) for n in (7, 9))
    async with told(one, two) as (url, asked):
        seen: list[Event] = []
        async with AsyncHelmClient(url, "k") as client:
            with pytest.raises(NoAnswer):
                async for event in client.tail(verdict="DENY"):
                    seen.append(event)  # noqa: PERF401 - it ends with a failure
    assert [(event.id, event.receipt) for event in seen] == [("7", {"n": 7}), ("9", {"n": 9})]
    assert b"last-event-id" not in asked[0].lower()
    assert b"last-event-id: 7" in asked[1].lower() and b"tail?verdict=DENY" in asked[1]


async def test_a_lost_answer_is_no_answer() -> None:
    async with told(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{}") as (url, _), AsyncHelmClient(url) as client:
        with pytest.raises(NoAnswer):
            await client.version()
    with HelmClient("http://127.0.0.1:9") as nobody, pytest.raises(NoAnswer):
        nobody.version()


async def test_an_answer_without_end_is_not_read() -> None:
    endless = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n" + b" " * 5000
    async with told(endless) as (url, asked), AsyncHelmClient(url, max_answer_bytes=1000) as client:
        with pytest.raises(NoAnswer, match="more than 1000 bytes"):
            await client.version()
    assert b"accept-encoding: identity" in asked[0].lower()


async def test_what_is_no_json_is_no_answer_and_a_refusal_in_any_words_is_a_refusal() -> None:
    head = b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n"
    openai = head % 403 + b'{"error": {"message": "m", "code": "C"}}'
    answers = (head % 200 + b"{", head % 502 + b"<p>", openai)
    async with told(*answers) as (url, _), AsyncHelmClient(url) as client:
        with pytest.raises(NoAnswer, match="no JSON"):
            await client.version()
        with pytest.raises(Problem) as broken:
            await client.version()
        with pytest.raises(Problem) as other:
            await client.version()
    assert (broken.value.status, broken.value.detail) == (502, "HTTP 502")
    assert (other.value.detail, other.value.reason_code) == ("m", "C")


@pytest.mark.parametrize("url", ["", "127.0.0.1:1", "ftp://h", "http://", "http://h/path", "http://h?x=1"])
def test_what_is_no_url_of_a_kernel_makes_no_client(url: str) -> None:
    with pytest.raises(ValueError, match="not the URL"):
        check_url(url)


@pytest.mark.parametrize("key", ["s3cret\n", "s3cret\r", "s3 cret", "s3cret\0", "s3cret\x1b[2J", "s3cret\u202e"])
@pytest.mark.parametrize("client", [HelmClient, AsyncHelmClient])
def test_a_key_that_fits_into_no_header_makes_no_client_and_is_not_quoted(client: Callable[..., Any], key: str) -> None:
    with pytest.raises(ValueError, match="not one word") as refused:
        client("http://127.0.0.1:9", key)
    assert "s3" not in str(refused.value)


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_lead_elsewhere_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match="names nothing"):
        part(name)
    assert part("a/../b?c") == "a%2F..%2Fb%3Fc"


def test_events_are_read_line_by_line() -> None:
    said = b': hello\n\nid: 7\nevent: receipt\r\ndata: {"a": "b: c"}\n\nid: 9\n\n'
    for size in (1, 5, len(said)):
        events = Events()
        pieces = [said[at : at + size] for at in range(0, len(said), size)]
        assert [event for piece in pieces for event in events.feed(piece)] == [Event(id="7", receipt={"a": "b: c"})]
        assert events.last_id == "9"


def test_a_line_without_end_is_not_kept() -> None:
    with pytest.raises(NoAnswer, match="a line of more than"):
        list(Events().feed(b"data: " + b" " * MAX_LINE_BYTES))
