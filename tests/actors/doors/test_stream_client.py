"""The client of a stream tells every caller its own answer, or that there will be none."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from functools import partial

import pytest
import trio

from actors.stream_client import StreamClient, StreamEnded, StreamRefused, open_stream
from tests.actors.doors.street import SOON_S, Street, open_street
from tests.actors.kit import House
from tests.actors.puppet import Hold, Puppet


@pytest.fixture
async def client(street: Street) -> AsyncIterator[StreamClient]:
    """A stream of acme's agent."""
    async with open_stream(street.address.url, street.agent) as client:
        yield client


async def test_every_caller_gets_its_own_answer(street: Street, client: StreamClient) -> None:
    told: dict[str, str] = {}

    async def call(session_id: str) -> None:
        answer = await client.call("read", {"path": session_id}, session_id=session_id)
        assert answer.receipt is not None and answer.allowed
        told[session_id] = answer.receipt["session_id"]

    with trio.fail_after(SOON_S):
        async with trio.open_nursery() as nursery:
            for number in range(40):
                nursery.start_soon(call, f"s{number}")
    assert told == {f"s{number}": f"s{number}" for number in range(40)}


async def test_a_refusal_is_an_answer(client: StreamClient) -> None:
    answer = await client.call("nobody-knows", {})
    assert (answer.verdict, answer.reason_code, answer.allowed, answer.output) == (
        "DENY",
        "NO_POLICY_DEFINED",
        False,
        None,
    )
    assert answer.receipt is not None


async def test_a_request_that_is_no_call_is_told_without_a_receipt(client: StreamClient) -> None:
    answer = await client.call("read", {}, sesion_id="misspelt")
    assert (answer.verdict, answer.receipt, answer.members["status"]) == ("", None, 400)


async def test_a_key_that_opens_nothing_is_refused_before_there_is_a_stream(street: Street) -> None:
    with pytest.raises(StreamRefused, match="HTTP 401: no bearer key"):
        async with open_stream(street.address.url, "helm_nobody"):
            raise AssertionError("a stream without a key")


async def test_where_nobody_listens_there_is_no_stream() -> None:
    with pytest.raises(StreamRefused, match="no answer from"):
        async with open_stream("http://127.0.0.1:1", "helm_x"):
            raise AssertionError("a stream to nobody")


@pytest.mark.parametrize("url", ["127.0.0.1:8420", "ftp://127.0.0.1", "http://127.0.0.1/api"])
async def test_what_is_no_kernels_url_is_not_connected_to(url: str) -> None:
    with pytest.raises(StreamRefused, match="is not the URL of a kernel"):
        async with open_stream(url, "helm_x"):
            raise AssertionError("a stream to anything")


@pytest.mark.parametrize("key", ["s3cret\n", "s3cret\r", "s3 cret", "s3crét"])
async def test_a_key_that_fits_into_no_header_is_not_sent_and_not_quoted(key: str) -> None:
    with pytest.raises(StreamRefused, match="not one word") as refused:
        async with open_stream("http://127.0.0.1:9", key):
            raise AssertionError("a stream with half a key")
    assert "s3" not in str(refused.value)


async def test_what_a_user_raises_comes_out_as_it_is(street: Street) -> None:
    with pytest.raises(LookupError, match="the user's own"):
        async with open_stream(street.address.url, street.agent):
            raise LookupError("the user's own")


async def test_a_call_under_way_when_the_kernel_ends_is_answered_and_then_the_stream_ends(house: House) -> None:
    puppet, answers = Puppet(Hold()), list[str]()

    async def call(client: StreamClient) -> None:
        answers.append((await client.call("read", {})).members["outcome"])

    async def talk(street: Street) -> None:
        async with open_stream(street.address.url, street.agent) as client, trio.open_nursery() as nursery:
            nursery.start_soon(call, client)
            with pytest.raises(StreamEnded) as end:
                await listen(client)
            assert (end.value.code, "reconcile" in end.value.reason) == (1012, True)
            with pytest.raises(StreamEnded):
                await client.call("read", {})

    async with trio.open_nursery() as nursery, open_street(house, puppet) as street:
        nursery.start_soon(talk, street)
        await puppet.began.wait()
    assert answers == ["INDETERMINATE"]


async def listen(client: StreamClient) -> None:
    """Follow receipts, one subscription after the other, until the stream ends."""
    while True:
        async with aclosing(client.follow()) as followed:
            async for _ in followed:
                pass


async def test_receipts_are_followed_from_a_number_on(street: Street, client: StreamClient) -> None:
    first = await client.call("read", {"path": "a"}, session_id="s")
    found: list[str] = []
    with trio.fail_after(SOON_S):
        async with aclosing(client.follow(after=0, session_id="s")) as followed:
            async for one in followed:
                if one.receipt is not None:
                    found.append(one.receipt["receipt_id"])
                    if len(found) == 2:
                        break
                    await client.call("read", {"path": "elsewhere"}, session_id="t")
                    await client.call("read", {"path": "b"}, session_id="s")
        assert first.receipt is not None
        assert found[0] == first.receipt["receipt_id"] and len(set(found)) == 2
        assert (await client.call("read", {})).allowed  # the stream goes on


async def test_what_may_not_be_followed_is_refused(client: StreamClient) -> None:
    with pytest.raises(StreamRefused, match="HTTP 403: a tenant's key reads its own tenant"):
        async with aclosing(client.follow(tenant="globex")) as followed:
            await anext(followed)


async def test_a_caller_that_leaves_takes_nothing_from_the_others(house: House) -> None:
    hold = Hold()
    puppet = Puppet(lambda order: hold(order) if b"slow" in order.arguments else {"n": 1})
    async with open_street(house, puppet) as street, open_stream(street.address.url, street.agent) as client:
        with trio.move_on_after(0.2) as left:
            await client.call("read", {"path": "slow"}, session_id="left")
        assert left.cancelled_caught
        assert (await client.call("read", {"path": "b"})).allowed
        hold.let_go()
        with trio.fail_after(SOON_S):
            async with aclosing(client.follow(after=0, session_id="left")) as followed:
                async for one in followed:
                    if one.receipt is not None:
                        assert one.receipt["status"] == "SUCCESS"
                        break


async def test_a_gateway_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("actors.stream_client.CONNECT_S", 0.2)

    async def mute(stream: trio.SocketStream) -> None:
        async with stream:
            while await stream.receive_some():
                pass

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, mute, 0, host="127.0.0.1"))
        with pytest.raises(StreamRefused, match="no upgrade by 127"):
            async with open_stream(f"http://127.0.0.1:{listener.socket.getsockname()[1]}", "helm_x"):
                raise AssertionError("a stream to nobody")
        nursery.cancel_scope.cancel()
