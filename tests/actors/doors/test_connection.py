"""What a client does to its connection is its own loss: the kernel decides on, and the next client is served."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from random import Random

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from actors.doors.bounds import Bounds
from actors.doors.calls import EVALUATE, EXECUTE, MAX_PIECES, read_body
from actors.doors.problem import Problem
from actors.doors.sockets import Address, bind
from actors.doors.tls import tls_of
from actors.stream_client import StreamRefused, open_stream
from helm.config import Config
from helm.contracts.errors import Invalid
from tests.actors.doors.street import SOON_S, Street, heard, open_street, push, raw_request
from tests.actors.kit import House
from tests.actors.puppet import Hold, Puppet

READ = json.dumps({"tool": "read", "arguments": {"path": "a"}}).encode()
HASTY = Bounds(connections=4, idle_s=0.2, body_s=0.3, write_s=0.3, linger_s=0.2)


@pytest.fixture
async def hasty(house: House) -> AsyncIterator[Street]:
    """A street before a door with little patience, and a tool whose answer fills every buffer."""
    big = Puppet(lambda order: {"text": "x" * 1_000_000} if b"big" in order.arguments else {"n": 1})
    async with open_street(
        house, big, config=Config(port=0, grace_s=2.0, max_body_bytes=65_536), bounds=HASTY
    ) as street:
        yield street


@asynccontextmanager
async def still_served(street: Street) -> AsyncIterator[None]:
    """Assert that an honest client is served after whatever happens inside, and that nobody holds a place."""
    yield
    assert (await street.call(READ)).status == 200
    with trio.fail_after(SOON_S):
        while street.door.clients:  # noqa: ASYNC110 - no bell
            await trio.sleep(0.01)


async def closed(stream: trio.SocketStream) -> bytes:
    """Return what is said until the door hangs up."""
    with trio.fail_after(SOON_S):
        return await heard(stream)


@pytest.mark.parametrize(
    "start",
    [b"", b"P", b"POST /v1/tools/execute HTTP/1.1\r\nhost: h\r\nx-slow: "],
    ids=["mute", "one byte", "a header"],
)
async def test_a_client_that_never_finishes_its_heading_loses_its_place(hasty: Street, start: bytes) -> None:
    async with still_served(hasty), hasty.connected() as client:
        await client.stream.send_all(start)
        assert await closed(client.stream) == b""


async def test_slow_clients_in_every_place_let_the_next_one_in(hasty: Street) -> None:
    async with still_served(hasty):
        async with trio.open_nursery() as nursery:
            for _ in range(2 * HASTY.connections):
                nursery.start_soon(hasty.shout, b"GET / HTTP/1.1\r\n")
            reply = await hasty.call(READ)
        assert reply.status == 200


async def test_a_body_that_never_ends_is_given_up(hasty: Street) -> None:
    async with still_served(hasty):
        said = await hasty.shout(raw_request(hasty.agent, b"{}")[:-1])
        assert said.startswith(b"HTTP/1.1 408 ") and b"problem+json" in said


async def test_a_client_that_does_not_read_is_lost_and_its_receipt_is_not(hasty: Street) -> None:
    body = json.dumps({"tool": "read", "arguments": {"path": "big"}, "session_id": "deaf"}).encode()
    async with still_served(hasty), hasty.connected() as client:
        client.stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_RCVBUF, 4096)
        with trio.move_on_after(1.0):
            await client.stream.send_all(raw_request(hasty.agent, body) * 50)
            await trio.sleep_forever()
    found = await hasty.ask("GET", "/api/v1/receipts?session_id=deaf")
    assert {receipt["status"] for receipt in found.json()["receipts"]} == {"SUCCESS"}


async def test_a_body_that_is_announced_too_long_is_not_read(hasty: Street) -> None:
    async with still_served(hasty):
        heading = raw_request(hasty.agent, b"").replace(b"content-length: 0", b"content-length: 65537")
        said = await hasty.shout(heading)
        assert said.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("size", [1, 60_000], ids=["in single bytes", "in large pieces"])
async def test_a_chunked_flood_is_cut_off(hasty: Street, size: int) -> None:
    chunk = b"%x\r\n%b\r\n" % (size, b"x" * size)
    heading = raw_request(hasty.agent, b"").replace(b"content-length: 0", b"transfer-encoding: chunked")
    async with still_served(hasty):
        said = await hasty.shout(heading + chunk * (2_000_000 // len(chunk)))
        assert said.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 408 ")) and b"problem+json" in said


async def test_a_flood_of_small_chunks_is_cut_off_below_the_longest_body(street: Street) -> None:
    heading = raw_request(street.agent, b"").replace(b"content-length: 0", b"transfer-encoding: chunked")
    said = await street.shout(heading + b"1\r\n \r\n" * (MAX_PIECES + 1))
    assert said.startswith(b"HTTP/1.1 413 ") and str(MAX_PIECES).encode() in said


@pytest.mark.parametrize(
    "chunk",
    [b"2;" + b"x" * 20_000 + b"\r\n{}\r\n", b"0\r\n" + b"x: y\r\n" * 5_000, b"f" * 40 + b"\r\n"],
    ids=["a long extension", "trailers without end", "a chunk beyond counting"],
)
async def test_framing_that_is_longer_than_what_it_frames_is_cut_off(hasty: Street, chunk: bytes) -> None:
    heading = raw_request(hasty.agent, b"").replace(b"content-length: 0", b"transfer-encoding: chunked")
    async with still_served(hasty):
        said = await hasty.shout(heading + chunk)
        assert said.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 408 ", b"HTTP/1.1 413 ", b"HTTP/1.1 431 "))
        assert b"problem+json" in said


async def test_a_body_that_comes_in_drops_has_the_time_of_any_body(hasty: Street) -> None:
    heading, body = raw_request(hasty.agent, READ).split(b"\r\n\r\n")
    async with still_served(hasty), hasty.connected() as client:
        await client.stream.send_all(heading + b"\r\n\r\n")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(drip, client.stream, body)
            said = await closed(client.stream)
            nursery.cancel_scope.cancel()
        assert said.startswith(b"HTTP/1.1 408 ")


async def drip(stream: trio.SocketStream, body: bytes) -> None:
    """Send a byte every tenth of a second."""
    for byte in body:
        await push(stream, bytes([byte]))
        await trio.sleep(0.1)


@pytest.mark.parametrize("coding", [b"gzip", b"gzip, chunked", b"identity", b"chunked, gzip"])
async def test_a_body_under_another_transfer_coding_is_not_read(street: Street, coding: bytes) -> None:
    heading = raw_request(street.agent, b"").replace(b"content-length: 0", b"transfer-encoding: " + coding)
    said = await street.shout(heading + b"2\r\n{}\r\n0\r\n\r\n")
    assert said.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 501 ")) and b"problem+json" in said


@pytest.mark.parametrize("method", [b"BREW", b"TRACE", b"CONNECT", b"post"])
async def test_a_method_that_nobody_knows_calls_no_tool(street: Street, method: bytes) -> None:
    raw = raw_request(street.agent, READ, extra=b"connection: close\r\n").replace(b"POST", method, 1)
    said = await street.shout(raw)
    assert said.startswith(b"HTTP/1.1 405 ")


@pytest.mark.parametrize("path", [EXECUTE, EVALUATE])
async def test_who_half_closes_the_socket_still_gets_the_answer(house: House, path: str) -> None:
    hold = Hold()
    puppet = Puppet(hold)
    async with open_street(house, puppet) as street, street.connected() as client:
        await client.stream.send_all(raw_request(street.agent, READ, path=path))
        await client.stream.send_eof()
        if path == EXECUTE:
            await puppet.began.wait()
            hold.let_go()
        assert (await closed(client.stream)).startswith(b"HTTP/1.1 200 ")


async def test_half_a_request_and_no_more_is_let_go(hasty: Street) -> None:
    for part in (b"POST /v1", raw_request(hasty.agent, READ)[:-3]):
        async with still_served(hasty), hasty.connected() as client:
            await client.stream.send_all(part)
            await client.stream.send_eof()
            assert not (await closed(client.stream)).startswith(b"HTTP/1.1 2")


async def test_the_calls_of_one_breath_are_all_answered_to_who_half_closes_behind_them(street: Street) -> None:
    async with street.connected() as client:
        await client.stream.send_all(raw_request(street.agent, READ) * 3)
        await client.stream.send_eof()
        assert (await closed(client.stream)).count(b"HTTP/1.1 200 ") == 3


@pytest.mark.parametrize("length", [100_000, 30_000_000])
async def test_a_long_body_of_nobodys_holds_nothing_up(hasty: Street, length: int) -> None:
    """Hypercorn alone keeps such a connection for ever: the application waits for itself to read."""
    async with still_served(hasty):
        said = await hasty.shout(raw_request("nobody", b"x" * length))
        assert said.startswith(b"HTTP/1.1 401 ") and said.endswith(b"}")


async def test_two_requests_in_one_breath_are_answered_in_order(street: Street) -> None:
    last = b"connection: close\r\n"
    bodies = [json.dumps({"tool": tool, "arguments": {}, "session_id": "p"}).encode() for tool in ("read", "nobody")]
    said = await street.shout(raw_request(street.agent, bodies[0]) + raw_request(street.agent, bodies[1], extra=last))
    assert said.count(b"HTTP/1.1 ") == 2
    assert said.index(b"HTTP/1.1 200") < said.index(b"HTTP/1.1 403")


async def test_garbage_behind_a_call_does_not_undo_its_answer(street: Street) -> None:
    said = await street.shout(raw_request(street.agent, READ) + b"\x00\xff garbage \r\n\r\n")
    assert said.startswith(b"HTTP/1.1 200 ")
    assert b"HTTP/1.1 400 " in said


GARBAGE: dict[str, bytes] = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "two lengths": b"POST /v1/tools/execute HTTP/1.1\r\nhost: h\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx",
    "a length and chunks": (
        b"POST /v1/tools/execute HTTP/1.1\r\nhost: h\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n"
        b"transfer-encoding: gzip\r\n\r\n0\r\n\r\n"
    ),
    "a heading without end": b"GET / HTTP/1.1\r\nx: " + b"a" * 20_000,
    "headers without end": b"GET / HTTP/1.1\r\n" + b"x: a\r\n" * 10_000,
    "a folded header": b"GET / HTTP/1.1\r\nhost: h\r\nx: a\r\n\tb\x00\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "a target outside": b"GET \xff\xfe HTTP/1.1\r\nhost: h\r\n\r\n",
}


@pytest.mark.parametrize("raw", GARBAGE.values(), ids=GARBAGE)
async def test_what_is_no_http_is_told_so_and_nothing_else_ends(hasty: Street, raw: bytes) -> None:
    async with still_served(hasty):
        said = await hasty.shout(raw)
        assert said.split(b" ")[1] in (b"400", b"431", b"501", b"505")
        assert b"application/problem+json" in said


@pytest.mark.parametrize(
    ("version", "length"), [(b"1.1", b"content-length: 4\r\n"), (b"1.0", b"")], ids=["two framings", "chunks of 1.0"]
)
async def test_a_request_cannot_be_smuggled_past_a_proxy(hasty: Street, version: bytes, length: bytes) -> None:
    inner = raw_request(hasty.agent, b'{"tool":"read","arguments":{},"session_id":"smuggled"}')
    outer = raw_request(hasty.agent, b"").replace(b"HTTP/1.1", b"HTTP/" + version)
    outer = outer.replace(b"content-length: 0\r\n", length + b"transfer-encoding: chunked\r\n")
    async with still_served(hasty):
        said = await hasty.shout(outer + b"2\r\n{}\r\n0\r\n\r\n" + inner)
        assert said.count(b"HTTP/1.1 ") == 1 and said.startswith(b"HTTP/1.1 400 ") and b"problem+json" in said
        found = await hasty.ask("GET", "/api/v1/receipts?session_id=smuggled")
        assert found.json()["receipts"] == []


@pytest.mark.parametrize("target", [b"http://[::1/x", b"http://[", b"http://helm/healthz", b"*"])
async def test_a_target_that_is_no_path_leads_nowhere_and_fills_no_log(
    hasty: Street, target: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with still_served(hasty):
        said = await hasty.shout(b"GET " + target + b" HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
        assert said.startswith(b"HTTP/1.1 404 ") and b"problem+json" in said
    assert not caplog.records


async def test_an_upgrade_is_not_taken(hasty: Street) -> None:
    h2c = (
        b"GET /healthz HTTP/1.1\r\nhost: h\r\nconnection: upgrade, http2-settings\r\n"
        b"upgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n"
    )
    websocket = (
        b"GET /healthz HTTP/1.1\r\nhost: h\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n"
    )
    async with still_served(hasty):
        for raw in (h2c, websocket):
            assert (await hasty.shout(raw)).startswith(b"HTTP/1.1 200 ")


async def test_http2_by_prior_knowledge_is_not_spoken(hasty: Street) -> None:
    async with still_served(hasty):
        said = await hasty.shout(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00")
        assert said.startswith(b"HTTP/1.1 4")


async def test_a_client_that_resets_in_the_middle_of_everything_ends_alone(hasty: Street) -> None:
    whole = raw_request(hasty.agent, READ)
    async with still_served(hasty):
        for cut in range(0, len(whole) + 1, 7):
            async with hasty.connected() as client:
                reset = b"\x01\x00\x00\x00\x00\x00\x00\x00"  # linger for no time: the next close is a reset
                client.stream.setsockopt(trio.socket.SOL_SOCKET, trio.socket.SO_LINGER, reset)
                await client.stream.send_all(whole[:cut] or b"P")


async def test_no_bytes_that_anyone_sends_end_more_than_their_own_connection(hasty: Street) -> None:
    dice = Random(20251009)
    models = [
        raw_request(hasty.agent, READ),
        raw_request("nobody", READ, path="/api/v1/evaluate"),
        b"GET /api/v1/receipts?limit=5 HTTP/1.1\r\nhost: h\r\n\r\n" * 3,
        b"POST /v1/tools/execute HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n5;x\r\nabcde\r\n0\r\n\r\n",
    ]
    async with still_served(hasty):
        for _ in range(300):
            raw = bytearray(dice.choice(models))
            for _ in range(dice.randint(1, 8)):
                at, kind = dice.randrange(len(raw)), dice.randrange(3)
                raw[at : at + (kind != 0)] = bytes(dice.choices(b'\r\n\0:{}" /a5\xff', k=dice.randint(0, 3)))
            async with hasty.connected() as client:
                await client.stream.send_all(bytes(raw) or b"x")
                if dice.random() < 0.3:
                    with trio.move_on_after(0.01):
                        await client.stream.receive_some()


async def test_a_client_that_waits_to_be_asked_for_its_body_is_asked(street: Street) -> None:
    heading = raw_request(street.agent, READ, extra=b"expect: 100-continue\r\n")[: -len(READ)]
    async with street.connected() as client:
        await client.stream.send_all(heading)
        with trio.fail_after(SOON_S):
            assert (await client.stream.receive_some()).startswith(b"HTTP/1.1 100 ")
            await client.stream.send_all(READ)
            assert (await client.stream.receive_some()).startswith(b"HTTP/1.1 200 ")


async def test_what_a_reader_asks_of_the_head_alone_has_no_body(street: Street) -> None:
    said = await street.shout(b"HEAD /healthz HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n")
    assert said.startswith(b"HTTP/1.1 200 ") and said.endswith(b"\r\n\r\n")


async def test_a_body_in_more_pieces_than_anyone_needs_is_refused() -> None:
    async def drip() -> dict[str, object]:
        return {"type": "http.request", "body": b" ", "more_body": True}

    with pytest.raises(Problem) as refusal:
        await read_body(drip, 10**9, SOON_S)
    assert refusal.value.status == 413


# -- TLS --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    """A certificate for loopback, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "helm.test")])
    start = datetime(2020, 1, 1, tzinfo=UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=365 * 100))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    directory = tmp_path_factory.mktemp("tls")
    (directory / "cert.pem").write_bytes(signed.public_bytes(Encoding.PEM))
    (directory / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(directory / "cert.pem"), str(directory / "key.pem")


async def test_over_tls_a_call_is_answered_and_who_does_not_speak_it_is_not(
    house: House, certificate: tuple[str, str]
) -> None:
    cert, key = certificate
    config = Config(port=0, grace_s=2.0, tls_cert=cert, tls_key=key)
    async with open_street(house, config=config, bounds=Bounds(handshake_s=0.3, linger_s=0.2)) as street:
        assert street.address.url.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=cert)
        plain = await trio.open_tcp_stream(street.address.host, street.address.port)
        async with trio.SSLStream(plain, context, server_hostname="127.0.0.1", https_compatible=True) as stream:
            with trio.fail_after(SOON_S):
                await stream.send_all(raw_request(street.agent, READ, extra=b"connection: close\r\n"))
                said = b"".join([piece async for piece in stream])
        assert said.startswith(b"HTTP/1.1 200 ")
        assert b"HTTP/1.1" not in await street.shout(raw_request(street.agent, READ))
        assert await street.shout(b"") == b""


async def test_over_tls_a_stream_is_a_stream(house: House, certificate: tuple[str, str]) -> None:
    cert, key = certificate
    config = Config(port=0, grace_s=2.0, tls_cert=cert, tls_key=key)
    tls = ssl.create_default_context(cafile=cert)
    async with open_street(house, config=config) as street:
        async with open_stream(street.address.url, street.agent, tls) as client:
            answers = [(await client.call("read", {"path": "a"})).allowed for _ in range(3)]
        with pytest.raises(StreamRefused, match="no answer from"):
            async with open_stream(street.address.url, street.agent):
                raise AssertionError("a stream to whom nobody vouches for")
    assert answers == [True] * 3


def test_a_certificate_that_cannot_be_read_is_refused_at_the_start(tmp_path: Path) -> None:
    config = Config(tls_cert=str(tmp_path / "none.pem"), tls_key=str(tmp_path / "none.key"))
    with pytest.raises(Invalid, match="tls_cert"):
        tls_of(config)


# -- where a door may stand -------------------------------------------------------------------------------------------


def test_no_port_is_opened_to_others_in_the_clear() -> None:
    with pytest.raises(Invalid, match="in the clear"):
        bind(Config(bind="0.0.0.0", port=0), admin_key_issued=True)


def test_no_port_is_opened_to_others_without_an_admin_key() -> None:
    with pytest.raises(Invalid, match="no admin key"):
        bind(Config(bind="0.0.0.0", port=0, insecure_bind=True), admin_key_issued=False)


def test_a_port_that_is_taken_is_said_to_be() -> None:
    first = bind(Config(port=0), admin_key_issued=False)
    try:
        with pytest.raises(Invalid) as taken:
            bind(Config(port=first.address.port), admin_key_issued=False)
        assert taken.value.what == "cannot listen: Address already in use"
    finally:
        first.close()


def test_an_address_of_ipv6_is_written_in_brackets() -> None:
    assert Address("::1", 8420).url == "http://[::1]:8420"
