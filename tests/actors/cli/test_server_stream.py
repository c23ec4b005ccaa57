"""Receipts over a kernel's stream: what ends is said, taken up again from the last receipt, and not for ever."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio

from actors.cli.failure import Failed
from actors.cli.receipt_source import Object, Wanted
from actors.cli.server import Server
from actors.cli.server_receipts import ServerReceipts
from actors.doors.serve import Door, serve
from actors.installation import Installation
from actors.opening import open_kernel
from actors.policy_file import read_signed
from tests.actors.cli.conftest import Made

RECEIPT = b'id: 1\nevent: receipt\ndata: {"tool": "old"}\n\n'
EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
NOT_HERE = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Enough(Exception):
    """A reader has heard what it wanted to hear."""


def enough(_: Object) -> None:
    raise Enough


def following(url: str, key: str, tell: Any = enough) -> Any:
    """Return what follows receipts in a thread of its own."""
    return partial(trio.to_thread.run_sync, partial(ServerReceipts(Server(url, key)).follow, Wanted(), tell))


async def test_a_gateway_without_a_stream_is_followed_as_before() -> None:
    asked: list[bytes] = []

    async def old(stream: trio.SocketStream) -> None:
        async with stream:
            asked.append(bytes(await stream.receive_some()).split(b"\r\n")[0])
            await stream.send_all(EVENTS + RECEIPT if b"tail" in asked[-1] else NOT_HERE)

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, old, 0, host="127.0.0.1"))
        port = listener.socket.getsockname()[1]
        with pytest.raises(Enough):
            await following(f"http://127.0.0.1:{port}", "helm_x")()
        nursery.cancel_scope.cancel()
    assert asked == [b"GET /v1/stream HTTP/1.1", b"GET /api/v1/receipts/tail HTTP/1.1"]


async def test_where_nobody_listens_that_is_said() -> None:
    with pytest.raises(Failed) as failure:
        await following("http://127.0.0.1:9", "helm_x")()
    assert failure.value.told.code == "NO_ANSWER"


async def test_a_key_that_opens_nothing_is_told_with_what_to_set(made: Made) -> None:
    place = Installation.open(made.path, flags={"port": 0})
    async with open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
        door: Door = await kernel.nursery.start(serve, kernel, place.config, place.bearer_keys())
        with pytest.raises(Failed) as failure:
            await following(door.address.url, "helm_nobody")()
        door.close()
        await door.ended.wait()
    assert (failure.value.told.code, "HELM_API_KEY" in failure.value.told.hint) == ("HTTP_401", True)


@pytest.mark.usefixtures("quick")
async def test_a_stream_that_ends_is_taken_up_again_until_nobody_is_there(
    made: Made, capsys: pytest.CaptureFixture[str]
) -> None:
    found: list[str] = []
    failures: list[Failed] = []

    async def follow(url: str) -> None:
        with pytest.raises(Failed) as failure:
            await following(url, made.tenant_key, lambda receipt: found.append(receipt["tool"]))()
        failures.append(failure.value)

    place = Installation.open(made.path, flags={"port": 0})
    async with trio.open_nursery() as nursery, open_kernel(place, policy=read_signed(place.policy_path)) as kernel:
        door: Door = await kernel.nursery.start(serve, kernel, place.config, place.bearer_keys())
        nursery.start_soon(follow, door.address.url)
        while not found:
            await kernel.call("shell.run", {}, tenant="default", principal="agent")
        door.close()
        await door.ended.wait()
    assert "the stream ended with 1012" in capsys.readouterr().err
    assert failures[0].told.code == "NO_ANSWER"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause before a stream is taken up again."""
    monkeypatch.setattr("actors.cli.server_stream.PAUSE_S", 0.0)
