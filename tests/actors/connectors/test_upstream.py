"""The model's side on a wire: what was sent, what may have been, and that no connection outlives its exchange."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

from actors.connectors.exchange import Exchange
from actors.connectors.http import ADDRESS_S
from actors.connectors.upstream import CONNECT_S, MAX_CONNECTIONS, Upstream, UpstreamFailed
from helm.openai.upstream import read_place
from tests.actors.connectors.server import Server, ok
from tests.actors.connectors.test_http import _certificate as certificate

SOON_S = 10
JSON = (b"content-type", b"application/json")


def upstream(port: int, *addresses: str, tls: Path | None = None) -> Upstream:
    """Return a client of api.example, which leads to these addresses."""

    async def resolve(_: str) -> Sequence[str]:
        return addresses or ["127.0.0.1"]

    scheme = "http" if tls is None else "https"
    trusted = None if tls is None else ssl.create_default_context(cafile=tls / "ca.pem")
    place = read_place(f"{scheme}://api.example:{port}/v1", allow_private=True)
    return Upstream(place, resolver=resolve, ssl_context=trusted)


async def asked(model: Upstream, body: bytes = b"{}") -> bytes:
    """Return the whole answer to one request."""
    async with model.ask("POST", "/chat/completions", [JSON], body) as incoming:
        return b"".join([piece async for piece in incoming.pieces])


async def failed(model: Upstream, body: bytes = b"{}") -> tuple[str, bool]:
    """Return what a request came to that failed, without the address, and whether it may have been sent."""
    with trio.fail_after(SOON_S), pytest.raises(UpstreamFailed) as failure:
        await asked(model, body)
    return str(failure.value).partition(" at ")[0], failure.value.sent


async def listening(
    nursery: trio.Nursery, serve: Callable[[trio.SocketStream], Awaitable[object]], port: int = 0
) -> int:
    """Have every connection to a port of this machine served; return the port."""
    listeners = await nursery.start(partial(trio.serve_tcp, serve, port, host="127.0.0.1"))
    return int(listeners[0].socket.getsockname()[1])


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        return int(unused.getsockname()[1])


async def test_heading_and_body_arrive_together_and_nothing_else_is_said(nursery: trio.Nursery) -> None:
    arrived: list[bytes] = []

    async def look(stream: trio.SocketStream) -> None:
        await trio.testing.wait_all_tasks_blocked()
        arrived.append(bytes(await stream.receive_some(65_536)))
        await stream.send_all(ok(b"1"))

    port = await listening(nursery, look)
    assert await asked(upstream(port), b'{"n":1}') == b"1"
    assert arrived == [
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: api.example:%d\r\n"
        b"accept-encoding: identity\r\nconnection: close\r\n"
        b'content-type: application/json\r\ncontent-length: 7\r\n\r\n{"n":1}' % port
    ]


class Recorder:
    """A wire that notes what is written to it in one step, and has the answer ready."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    async def send(self, data: bytes) -> None:
        """Note it."""
        self.written.append(data)

    async def receive(self) -> bytes:
        """Return the answer."""
        return ok(b"1")

    def close(self) -> None:
        """Nothing is held."""


async def test_a_request_is_written_in_one_step() -> None:
    wire = Recorder()
    exchange = Exchange(wire)
    response = await exchange.ask("POST", "/x", [(b"host", b"h"), (b"content-length", b"2")], b"{}")
    assert (response.status_code, [piece async for piece in exchange]) == (200, [b"1"])
    assert wire.written == [b"POST /x HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\n{}"]


async def test_a_body_that_no_buffer_holds_arrives_whole(nursery: trio.Nursery) -> None:
    server = await Server(ok(b"1")).start(nursery)
    body = b"x" * 16_000_000
    with trio.fail_after(SOON_S):
        assert await asked(upstream(server.port), body) == b"1"
    assert server.requests[0].endswith(b"\r\n\r\n" + body)


async def test_what_a_server_says_before_its_answer_is_no_answer(nursery: trio.Nursery) -> None:
    server = await Server(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n" + ok(b"1")).start(nursery)
    assert await asked(upstream(server.port)) == b"1"


async def test_an_answer_that_comes_before_the_request_was_read_is_heard(nursery: trio.Nursery) -> None:
    async def refuse(stream: trio.SocketStream) -> None:
        await stream.send_all(ok(b"too long", status=b"413 Content Too Large"))

    port = await listening(nursery, refuse)
    model = upstream(port)
    with trio.fail_after(SOON_S):
        async with model.ask("POST", "/chat/completions", [JSON], b"x" * 16_000_000) as incoming:
            assert incoming.status == 413


@pytest.mark.parametrize("whole", [True, False])
async def test_every_connection_ends_with_its_exchange(nursery: trio.Nursery, whole: bool) -> None:
    ended = trio.Event()

    async def answer(stream: trio.abc.Stream) -> None:
        await stream.send_all(ok(b"1234") if whole else ok(b"1234")[:-2])
        assert await stream.receive_some(1) == b""
        ended.set()

    server = await Server(answer).start(nursery)
    with trio.fail_after(SOON_S):
        async with upstream(server.port).ask("POST", "/chat/completions", [JSON], b"{}") as incoming:
            assert (await anext(incoming.pieces))[:2] == b"12"
        await ended.wait()


ANSWERS = {
    "silence": (b"", "RemoteProtocolError"),
    "half a heading": (b"HTTP/1.1 200 OK\r\nconte", "RemoteProtocolError"),
    "half a body": (ok(b"1234")[:-2], "RemoteProtocolError"),
    "another protocol": (b"SSH-2.0-OpenSSH_9.7\r\n", "RemoteProtocolError"),
}


@pytest.mark.parametrize("how", ANSWERS)
async def test_what_is_no_whole_answer_may_have_been_asked(nursery: trio.Nursery, how: str) -> None:
    said, what = ANSWERS[how]

    async def answer(stream: trio.abc.Stream) -> None:
        await stream.send_all(said)
        await stream.aclose()

    server = await Server(answer).start(nursery)
    assert await failed(upstream(server.port)) == (what, True)


async def test_a_heading_without_end_is_not_waited_for(nursery: trio.Nursery) -> None:
    async def answer(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\nx: " + b"x" * 200_000)
        await stream.receive_some(1)  # until the client has left

    server = await Server(answer).start(nursery)
    assert await failed(upstream(server.port)) == ("RemoteProtocolError", True)


async def test_a_connection_that_breaks_may_have_been_asked(nursery: trio.Nursery) -> None:
    async def reset(stream: trio.abc.Stream) -> None:
        assert isinstance(stream, trio.SocketStream)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        await stream.aclose()

    server = await Server(reset).start(nursery)
    assert await failed(upstream(server.port)) == ("ReadError", True)


async def test_who_accepts_nobody_was_not_asked() -> None:
    assert await failed(upstream(closed_port())) == ("ConnectError", False)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_an_address_of_either_kind_is_connected_to(nursery: trio.Nursery, address: str) -> None:
    listeners = await nursery.start(partial(trio.serve_tcp, answering, 0, host=address))
    assert await asked(upstream(listeners[0].socket.getsockname()[1], address)) == b"1"


async def test_the_next_address_is_tried_where_one_does_not_accept(nursery: trio.Nursery) -> None:
    server = await Server(ok(b"1")).start(nursery)
    assert await asked(upstream(server.port, "127.0.0.2", "::1", "127.0.0.1")) == b"1"


async def test_an_address_that_is_silent_is_given_up_for_the_next(
    nursery: trio.Nursery, autojump_clock: trio.testing.MockClock
) -> None:
    with socket.create_server(("127.0.0.2", 0), backlog=0) as full:
        port = full.getsockname()[1]
        held = [socket.socket() for _ in range(4)]
        for one in held:  # nobody is taken out of the queue, and it holds no more
            one.setblocking(False)
            one.connect_ex(("127.0.0.2", port))
        await listening(nursery, answering, port)
        began = trio.current_time()
        assert await asked(upstream(port, "127.0.0.2", "127.0.0.1")) == b"1"
        assert trio.current_time() - began >= ADDRESS_S
        for one in held:
            one.close()


async def answering(stream: trio.SocketStream) -> None:
    await stream.receive_some(65_536)
    await stream.send_all(ok(b"1"))


async def test_a_name_that_is_never_found_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    async def resolve(_: str) -> Sequence[str]:
        await trio.sleep_forever()
        raise AssertionError

    model = Upstream(read_place("http://api.example:80/v1", allow_private=True), resolver=resolve)
    with pytest.raises(UpstreamFailed, match="ConnectTimeout") as failure:
        await asked(model)
    assert not failure.value.sent
    assert trio.current_time() == pytest.approx(CONNECT_S, abs=0.1)


async def test_an_address_that_may_not_be_reached_was_not_asked(nursery: trio.Nursery) -> None:
    server = await Server(ok(b"1")).start(nursery)
    place = read_place(f"https://api.example:{server.port}/v1", allow_private=False)

    async def resolve(_: str) -> Sequence[str]:
        return ["127.0.0.1"]

    for _ in range(2):  # what was looked at once is no less refused
        with pytest.raises(UpstreamFailed, match="loopback") as failure:
            await asked(Upstream(place, resolver=resolve))
        assert not failure.value.sent
    assert server.connections == 0


@pytest.mark.parametrize(("certified", "is_trusted"), [("api.example", True), ("other.example", False)])
async def test_tls_is_spoken_with_the_name_and_nothing_is_sent_before(
    nursery: trio.Nursery, tmp_path: Path, certified: str, is_trusted: bool
) -> None:
    protocols: list[str] = []

    async def answer(stream: trio.abc.Stream) -> None:
        assert isinstance(stream, trio.SSLStream)
        protocols.append(stream.selected_alpn_protocol())
        await stream.send_all(ok(b"1"))

    context = certificate(tmp_path, certified)
    context.set_alpn_protocols(["h2", "http/1.1"])
    server = await Server(answer, tls=context).start(nursery)
    model = upstream(server.port, tls=tmp_path)
    if is_trusted:
        assert (await asked(model), protocols) == (b"1", ["http/1.1"])
    else:
        assert await failed(model) == ("ConnectError", False)
        assert server.requests == []


async def test_a_server_that_never_shakes_hands_was_not_asked(
    nursery: trio.Nursery, tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    certificate(tmp_path, "api.example")
    left = trio.Event()

    async def be_silent(stream: trio.SocketStream) -> None:
        while await stream.receive_some(65_536):
            pass
        left.set()

    port = await listening(nursery, be_silent)
    with pytest.raises(UpstreamFailed, match="ConnectTimeout") as failure:
        await asked(upstream(port, tls=tmp_path))
    assert not failure.value.sent
    assert trio.current_time() == pytest.approx(CONNECT_S, abs=0.5)
    await left.wait()


async def test_one_connection_too_many_is_refused_before_it_is_made(nursery: trio.Nursery) -> None:
    server = await Server(ok(b"1")).start(nursery)
    model = upstream(server.port)
    async with AsyncExitStack() as held:
        for _ in range(MAX_CONNECTIONS):
            await held.enter_async_context(model.ask("POST", "/chat/completions", [JSON], b"{}"))
        assert await failed(model) == ("PoolTimeout", False)
        assert server.connections == MAX_CONNECTIONS
    assert await asked(model) == b"1"


async def test_a_header_that_would_be_two_is_not_sent(nursery: trio.Nursery) -> None:
    server = await Server(ok(b"1")).start(nursery)
    with pytest.raises(UpstreamFailed, match="LocalProtocolError"):
        async with upstream(server.port).ask("POST", "/x", [(b"authorization", b"Bearer a\r\nx: y")], b"{}"):
            raise AssertionError
    assert server.requests == []


async def test_an_answer_without_end_leaves_the_loop_to_others(nursery: trio.Nursery) -> None:
    async def flood(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n\r\n")
        while True:
            await stream.send_all(b"x" * 65_536)

    server, turns = await Server(flood).start(nursery), 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with upstream(server.port).ask("GET", "/x", [], None) as incoming, trio.open_nursery() as beside:
        beside.start_soon(take_turns)
        for _ in range(50):
            await anext(incoming.pieces)
        beside.cancel_scope.cancel()
    assert turns >= 40
