"""A fault in one client's connection is that client's: the kernel decides on, and what was asked has its receipt."""

from __future__ import annotations

import json
import logging
from contextlib import suppress
from random import Random
from typing import Any, cast

import attrs
import pytest
import trio

from actors.commands.sessions import OpenSession
from actors.doors.bounds import Bounds
from actors.doors.tls import Tls
from actors.doors.upgrade import Streams, Welcome
from actors.mailbox import KernelStopped
from helm.contracts.errors import Broken
from helm.guardian.intake import Caller
from tests.actors.doors.connect.lane import Lane, echo, open_lane, place
from tests.actors.doors.connect.test_withdrawn import broken
from tests.actors.doors.frames import frame, rude, upgrade
from tests.actors.doors.street import SOON_S, Street, heard, open_street, push, raw_request
from tests.actors.kit import House
from tests.actors.puppet import Hold, Puppet

BRIEF = Bounds(linger_s=0.3)
READ = {"tool": "read", "arguments": {"path": "a"}, "session_id": "s"}


class Fault(Exception):
    """What nobody has foreseen."""


@attrs.define
class FaultyStreams:
    """Streams that fail when one is asked for."""

    failure: Exception

    def welcome(self, *_: object, **__: object) -> Welcome:
        raise self.failure


@attrs.define
class FaultyTls:
    """Certificates that cannot be read any more."""

    asks: bool = False

    def context(self) -> None:
        raise Fault("the certificate is gone")


def broken_by(street: Street, **parts: Any) -> None:
    """Put parts that fail into the door, for connections to come."""
    street.door.service = attrs.evolve(street.door.service, **parts)


async def figure(street: Street) -> float:
    """Return how many connections failed, as a scraper reads it."""
    told = await street.ask("GET", "/metrics", key=street.admin)
    (line,) = [line for line in told.body.decode().splitlines() if line.startswith("helm_connections_failed_total ")]
    return float(line.split()[1])


UPGRADE = b"GET /v1/stream HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"


async def test_a_fault_while_a_request_is_read_ends_that_connection_alone(
    street: Street, caplog: pytest.LogCaptureFixture
) -> None:
    broken_by(street, streams=cast(Streams, FaultyStreams(Fault("unforeseen"))))
    async with street.connected() as bystander:
        assert await street.shout(UPGRADE) == b""
        assert (await bystander.ask("GET", "/healthz")).status == 200
    assert (await street.call(READ)).status == 200
    assert await figure(street) == street.kernel.meter.failed_connections == 1
    (line,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert line.exc_info is not None and "unforeseen" in str(line.exc_info[1].exceptions)  # type: ignore[union-attr]


async def test_a_fault_before_the_first_byte_ends_that_connection_alone(street: Street) -> None:
    sound = street.door.service
    broken_by(street, tls=cast(Tls, FaultyTls()))
    assert await street.shout(b"GET /healthz HTTP/1.1\r\n\r\n") == b""
    street.door.service = sound
    assert (await street.call(READ)).status == 200
    assert await figure(street) == 1


async def test_what_breaks_the_kernel_still_ends_it(house: House) -> None:
    with pytest.raises(KernelStopped) as ended:
        async with open_street(house) as street:
            broken_by(street, streams=cast(Streams, FaultyStreams(Broken("an invariant of ours"))))
            await street.shout(UPGRADE)
            await trio.sleep_forever()
    assert "an invariant of ours" in repr(ended.value.__cause__)


@attrs.define
class FaultySecondTime:
    """Frames of a stream that cannot be read a second time."""

    frames: Any
    reads: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.frames, name)

    def texts(self, data: bytes) -> Any:
        self.reads += 1
        if self.reads > 1:
            raise Fault("unforeseen")
        return self.frames.texts(data)


@attrs.define
class StreamsThatFail:
    """Streams whose frames fail at their second message."""

    streams: Streams

    def __getattr__(self, name: str) -> Any:
        return getattr(self.streams, name)

    def stream(self, welcome: Welcome, line: Any) -> Any:
        return self.streams.stream(attrs.evolve(welcome, frames=cast(Any, FaultySecondTime(welcome.frames))), line)


async def test_an_effect_under_way_on_a_connection_that_fails_has_its_receipt(house: House) -> None:
    hold = Hold()
    puppet = Puppet(hold)
    async with open_street(house, puppet) as street:
        broken_by(street, streams=cast(Streams, StreamsThatFail(street.door.service.streams)))
        async with rude(street) as client:
            await client.say(id="1", **READ)
            with trio.fail_after(SOON_S):
                await puppet.began.wait()
            await client.say(id="2", **READ)
            with trio.fail_after(SOON_S):
                await heard(client.stream)
        assert street.kernel.cases
        hold.let_go()
        with trio.fail_after(SOON_S):
            while street.kernel.cases:  # noqa: ASYNC110 - no bell
                await trio.sleep(0.01)
        assert (await street.call(READ)).status == 200
        assert street.kernel.meter.failed_connections == 1
    statuses = [one["receipt"]["status"] for one in beside(house) if "receipt" in one]
    assert statuses == ["SUCCESS", "SUCCESS"]
    assert len(puppet.orders) == 2


def beside(house: House) -> list[dict[str, Any]]:
    return [json.loads(row)["beside"] for row in house.disk.rows]


# -- the proxy's door -------------------------------------------------------------------------------------------------


async def test_a_fault_in_a_request_for_a_tunnel_ends_that_connection_alone(house: House) -> None:
    async with open_lane(house) as lane:
        sound, lane.door.tls = lane.door.tls, cast(Tls, FaultyTls())
        stream = await lane.connect()
        assert await ended(stream) == b""
        await trio.aclose_forcefully(stream)
        lane.door.tls = sound
        assert (await lane.ask("127.0.0.9:1")).status == 403
        assert lane.kernel.meter.failed_connections == 1


async def test_a_tunnel_whose_client_cannot_be_looked_up_again_is_cut_and_the_kernel_goes_on(house: House) -> None:
    async with open_lane(house) as lane, place(echo) as port, lane.tunnel(f"127.0.0.1:{port}") as stream:
        lane.door.who = cast(Any, Unanswerable())
        await lane.kernel.command(OpenSession(Caller(tenant="acme", principal="agent", session_id="another")))
        await broken(stream)
        (receipt,) = await lane.receipts()
        lane.kernel.check_ready()
        assert lane.kernel.meter.failed_connections == 1
    assert (receipt["status"], receipt["reason_code"]) == ("INDETERMINATE", "IDENTITY_ISOLATION_VIOLATION")


class Unanswerable:
    """Credentials about which nothing can be said."""

    def __getattr__(self, name: str) -> Any:
        raise Fault(name)


async def ended(stream: trio.SocketStream) -> bytes:
    """Return what is said until the door hangs up."""
    with trio.fail_after(SOON_S):
        return await heard(stream)


# -- hostile bytes ----------------------------------------------------------------------------------------------------

ODD: list[bytes] = [
    b"",
    b"\x00" * 300,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xff" * 200,
    b"GET\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET //[::1 HTTP/1.1\r\nhost: h\r\n\r\n",
    b"GET http://[/ HTTP/1.1\r\nhost: h\r\n\r\n",
    b"GET /%ff%fe%00 HTTP/1.1\r\nhost: \xff\xfe\r\n\r\n",
    b"GET /api/v1/receipts?limit=\xff&%=%&&;= HTTP/1.1\r\nhost: h\r\n\r\n",
    b"GET /api/v1/sessions/%2e%2e%2f%00 HTTP/1.1\r\nhost: h\r\n\r\n",
    b"POST /v1/tools/execute HTTP/1.1\r\nhost: h\r\ncontent-length: 99999999999999999999\r\n\r\n",
    b"POST /v1/tools/execute HTTP/1.1\r\nhost: h\r\ncontent-length: -1\r\n\r\n",
    b"POST /v1/tools/execute HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
    b"GET /v1/stream HTTP/1.1\r\nhost: h\r\nupgrade: \xff\r\nsec-websocket-key: =\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"OPTIONS * HTTP/1.1\r\nhost: h\r\n\r\n",
    b"GET /healthz HTTP/1.1\r\nhost: h\r\nauthorization: Bearer \xed\xa0\x80\r\n\r\n",
    b"CONNECT :: HTTP/1.1\r\n\r\n",
    b"CONNECT [::1]:\xc2\xb2 HTTP/1.1\r\nproxy-authorization: Basic ====\r\n\r\n",
    b"CONNECT a:99999999999999999999 HTTP/1.1\r\nproxy-authorization: Basic Og==\r\n\r\n",
]


def mutated(seeds: list[bytes], rounds: int) -> list[bytes]:
    """Return requests with some bytes changed, left out, doubled, or cut off; the same ones every time."""
    random, found = Random(44), []
    for _ in range(rounds):
        raw_bytes = bytearray(random.choice(seeds))
        for _ in range(random.randint(1, 4)):
            at = random.randrange(len(raw_bytes) + 1)
            raw_bytes[at : at + random.randint(0, 3)] = random.randbytes(random.randint(0, 3))
        found.append(bytes(raw_bytes[: random.randint(0, len(raw_bytes))] if random.random() < 0.2 else raw_bytes))
    return found


async def test_no_bytes_at_the_door_make_a_connection_fail_in_a_way_that_nobody_foresaw(house: House) -> None:
    async with open_street(house, bounds=BRIEF) as street:
        sound = [raw_request(street.agent, json.dumps(READ).encode()), upgrade(street.agent) + frame(b'{"id":"1"}')]
        for said in [*ODD, *mutated([*ODD[2:], *sound], 150)]:
            await street_heard(street, said)
        assert (await street.call(READ)).status == 200
        assert street.kernel.meter.failed_connections == 0


async def test_no_bytes_at_the_proxy_make_a_connection_fail_in_a_way_that_nobody_foresaw(house: House) -> None:
    async with open_lane(house, bounds=BRIEF) as lane:
        for said in [*ODD, *mutated([*ODD[2:], lane.head("127.0.0.9:1"), lane.head("[::1]:1")], 100)]:
            await lane_heard(lane, said)
        assert (await lane.ask("127.0.0.9:1")).status == 403
        assert lane.kernel.meter.failed_connections == 0


async def street_heard(street: Street, said: bytes) -> None:
    async with street.connected() as client:
        await told_all(client.stream, said)


async def lane_heard(lane: Lane, said: bytes) -> None:
    stream = await lane.connect()
    try:
        await told_all(stream, said)
    finally:
        await trio.aclose_forcefully(stream)


async def told_all(stream: trio.SocketStream, said: bytes) -> None:
    """Say it, say no more, and wait until the door hangs up."""
    with trio.fail_after(SOON_S):
        await push(stream, said)
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await stream.send_eof()
        await heard(stream)
