"""An HTTP tool goes where the call was judged to go, and says exactly what is known when it fails."""

from __future__ import annotations

import gzip
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
import trio
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from actors.connectors.http import HttpConnector
from actors.connectors.port import ConnectorFailed, ConnectorUnknown, Dispatch, NotDispatched, Unreachable
from actors.connectors.resolver import Resolver, system_resolver
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.contracts.reason import ReasonCode
from helm.guardian.connection import HttpConnection, HttpOperation
from tests.actors.connectors.orders import order
from tests.actors.connectors.server import Answer, Server, ok


def _operation(method: str, path: str = "", *, url_argument: str = "", query: str = "") -> HttpOperation:
    return HttpOperation(method=method, path=path, url_argument=url_argument, query=frozenset(query.split()))


OPERATIONS = {
    "read": _operation("GET", "/items/{id}"),
    "add": _operation("POST", "/items"),
    "change": _operation("PUT", "/items/{id}", query="mode"),
}


def _connection(**fields: Any) -> HttpConnection:
    settings: dict[str, Any] = {"name": "tested", "operations": OPERATIONS, "max_response_bytes": 1024 * 1024}
    return HttpConnection(**(settings | fields))


class Names:
    """A resolver whose answers are prepared, one after the other; the last stays."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


HOME = Names(["127.0.0.1"])


def _connect(server: Server, *, resolver: Resolver = HOME, **fields: Any) -> HttpConnector:
    settings: dict[str, Any] = {"origin": f"http://api.example:{server.port}", "allow_private": True}
    return HttpConnector(_connection(**(settings | fields)), resolver=resolver)


def _order(server: Server, arguments: JSONValue, operation: str, **fields: Any) -> Dispatch:
    settings = {"destination": f"http://api.example:{server.port}", "operation": operation}
    return order(arguments, **(settings | fields))


async def _serve(nursery: trio.Nursery, answer: Answer) -> Server:
    return await Server(answer).start(nursery)


async def test_a_request_says_what_was_judged_and_nothing_more(nursery: trio.Nursery) -> None:
    server = await _serve(nursery, ok(b'{"done":true}'))
    connector = HttpConnector(
        _connection(origin=f"http://api.example:{server.port}", allow_private=True, headers={"User-Agent": "tested"}),
        secret_headers={"Authorization": "Bearer s3cret"},
        resolver=HOME,
    )
    asked = _order(server, {"b": [1, "é"], "a": 2}, "add", idempotency_key="k-1", permit=b"signed")
    assert await connector.dispatch(asked) == {"done": True}
    head, _, body = server.requests[0].partition(b"\r\n\r\n")
    assert body == asked.arguments
    assert head.split(b"\r\n")[0] == b"POST /items HTTP/1.1"
    assert sorted(head.lower().split(b"\r\n")[1:]) == [
        b"accept-encoding: identity",
        b"accept: application/json",
        b"authorization: bearer s3cret",
        b"connection: close",
        b"content-length: %d" % len(asked.arguments),
        b"content-type: application/json",
        b"host: api.example:%d" % server.port,
        b"idempotency-key: k-1",
        b"user-agent: tested",
        b"x-helm-decision-id: " + asked.decision_id.encode(),
        b"x-helm-permit: c2lnbmvk",
    ]
    await connector.aclose()


async def test_arguments_are_placed_and_escaped(nursery: trio.Nursery) -> None:
    server = await _serve(nursery, ok(b"1"))
    connector = _connect(server)
    await connector.dispatch(_order(server, {"id": "a b?c#d%2e&é", "q": "x&y=z\r\nX: 1", "n": 7}, "read"))
    await connector.dispatch(_order(server, {"id": 5, "mode": True, "name": "n"}, "change"))
    lines = [request.split(b"\r\n")[0] for request in server.requests]
    assert lines == [
        b"GET /items/a%20b%3Fc%23d%252e%26%C3%A9?n=7&q=x%26y%3Dz%0D%0AX%3A%201 HTTP/1.1",
        b"PUT /items/5?mode=true HTTP/1.1",
    ]
    assert server.requests[1].endswith(b'\r\n\r\n{"name":"n"}')
    await connector.aclose()


@pytest.mark.parametrize("value", ["", ".", "..", "...", "a/b", "../x", "a\\b", "a\nb", "a\x00", None, [], {}])
async def test_a_path_argument_cannot_leave_its_place(nursery: trio.Nursery, value: JSONValue) -> None:
    server = await _serve(nursery, ok(b"1"))
    with pytest.raises(NotDispatched) as refused:
        await _connect(server).dispatch(_order(server, {"id": value}, "read"))
    assert refused.value.code is ReasonCode.SCHEMA_VIOLATION
    assert server.connections == 0


async def test_an_argument_cannot_complete_a_climbing_path(nursery: trio.Nursery) -> None:
    server = await _serve(nursery, ok(b"1"))
    connector = _connect(server, operations={"hidden": _operation("GET", "/a/.{id}")})
    await connector.dispatch(_order(server, {"id": "git"}, "hidden"))
    with pytest.raises(NotDispatched):
        await connector.dispatch(_order(server, {"id": "."}, "hidden"))
    await connector.aclose()


@pytest.mark.parametrize("arguments", [[], "text", {"id": "1", "q": None}, {"id": "1", "q": "x" * 9000}, {}])
async def test_arguments_that_fit_no_request_are_not_dispatched(nursery: trio.Nursery, arguments: JSONValue) -> None:
    server = await _serve(nursery, ok(b"1"))
    with pytest.raises(NotDispatched):
        await _connect(server).dispatch(_order(server, arguments, "read"))
    assert server.connections == 0


async def test_a_key_that_would_split_a_header_is_not_dispatched(nursery: trio.Nursery) -> None:
    server = await _serve(nursery, ok(b"1"))
    with pytest.raises(NotDispatched):
        await _connect(server).dispatch(_order(server, {}, "add", idempotency_key="k\r\nX-Evil: 1"))
    assert server.connections == 0


async def test_an_unknown_operation_is_not_dispatched(nursery: trio.Nursery) -> None:
    server = await _serve(nursery, ok(b"1"))
    with pytest.raises(NotDispatched):
        await _connect(server).dispatch(_order(server, {}, "gone"))


@pytest.mark.parametrize("judged", ["", "http://other.example:80", "https://api.example:1", "api.example:1"])
async def test_only_the_judged_destination_is_reached(nursery: trio.Nursery, judged: str) -> None:
    server = await _serve(nursery, ok(b"1"))
    with pytest.raises(NotDispatched) as refused:
        await _connect(server).dispatch(_order(server, {}, "add", destination=judged))
    assert refused.value.code is ReasonCode.DATA_EGRESS_BLOCKED
    assert server.connections == 0


def _fetcher(*, resolver: Resolver = HOME, **fields: Any) -> HttpConnector:
    operations = {"fetch": _operation("GET", url_argument="url")}
    return HttpConnector(_connection(origin="", operations=operations, **fields), resolver=resolver)


async def test_an_argument_names_the_url(nursery: trio.Nursery) -> None:
    server = await _serve(nursery, ok(b"1"))
    connector = _fetcher(allow_private=True)
    url = f"HTTP://Api.Example.:{server.port}/ü?a=1#part"
    assert await connector.dispatch(_order(server, {"url": url, "b": "2"}, "fetch")) == 1
    assert server.requests[0].startswith(b"GET /%C3%BC?a=1&b=2 HTTP/1.1\r\n")
    await connector.aclose()


@pytest.mark.parametrize(
    "url", ["http://other.example", "http://api.example@other.example", "ftp://api.example:21", "", 1, None]
)
async def test_an_url_that_was_not_judged_is_not_reached(url: JSONValue) -> None:
    connector = _fetcher(allow_private=True)
    with pytest.raises(NotDispatched):
        await connector.dispatch(order({"url": url}, operation="fetch", destination="http://api.example:80"))


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "127.0.0.1",
        "10.0.0.1",
        "fd00::1",
        "0.0.0.0",
        "fe80::1%1",
        "::",
    ],
)
async def test_a_name_that_resolves_inside_is_refused(nursery: trio.Nursery, address: str) -> None:
    server = await _serve(nursery, ok(b"1"))
    connector = _connect(server, resolver=Names([address]), allow_private=False)
    with pytest.raises(NotDispatched) as refused:
        await connector.dispatch(_order(server, {}, "add"))
    assert refused.value.code is ReasonCode.DATA_EGRESS_BLOCKED
    assert server.connections == 0


async def test_a_service_out_of_reach_is_told_apart_from_one_place_of_many(nursery: trio.Nursery) -> None:
    server = await _serve(nursery, ok(b"1"))
    inside = Names(["10.0.0.1"])
    with pytest.raises(Unreachable):
        await _connect(server, resolver=inside, allow_private=False).dispatch(_order(server, {}, "add"))
    url = f"http://api.example:{server.port}/"
    with pytest.raises(NotDispatched) as refused:
        await _fetcher(resolver=inside).dispatch(_order(server, {"url": url}, "fetch"))
    assert type(refused.value) is NotDispatched  # its caller chose where to go
    assert refused.value.code is ReasonCode.DATA_EGRESS_BLOCKED


@pytest.mark.parametrize("address", ["169.254.169.254", "0.0.0.0", "169.254.1.1"])
async def test_metadata_is_refused_even_where_private_is_allowed(nursery: trio.Nursery, address: str) -> None:
    server = await _serve(nursery, ok(b"1"))
    with pytest.raises(NotDispatched):
        await _connect(server, resolver=Names([address])).dispatch(_order(server, {}, "add"))


async def test_one_forbidden_address_among_good_ones_spoils_the_answer(nursery: trio.Nursery) -> None:
    server = await _serve(nursery, ok(b"1"))
    connector = _connect(server, resolver=Names(["127.0.0.1", "169.254.169.254"]))
    with pytest.raises(NotDispatched):
        await connector.dispatch(_order(server, {}, "add"))
    assert server.connections == 0


async def test_an_address_as_url_is_checked_like_a_name() -> None:
    connector = _fetcher(resolver=system_resolver())
    with pytest.raises(NotDispatched) as refused:
        await connector.dispatch(
            order({"url": "http://127.0.0.1:1/"}, operation="fetch", destination="http://127.0.0.1:1")
        )
    assert refused.value.code is ReasonCode.DATA_EGRESS_BLOCKED


async def test_a_rebinding_name_is_asked_once_and_never_again(nursery: trio.Nursery) -> None:
    server = await _serve(nursery, ok(b"1", b"Connection: close"))
    names = Names(["127.0.0.1"], ["169.254.169.254"])
    connector = _connect(server, resolver=names)
    assert await connector.dispatch(_order(server, {}, "add")) == 1
    assert names.asked == ["api.example"]
    with pytest.raises(NotDispatched):
        await connector.dispatch(_order(server, {}, "add"))
    assert names.asked == ["api.example", "api.example"] and server.connections == 1
    await connector.aclose()


async def test_the_next_address_is_tried_when_one_refuses(nursery: trio.Nursery) -> None:
    server = await _serve(nursery, ok(b"1"))
    connector = _connect(server, resolver=Names(["127.0.0.2", "127.0.0.1"]))
    assert await connector.dispatch(_order(server, {}, "add")) == 1
    await connector.aclose()


@pytest.mark.parametrize("answer", [[], OSError("no such name")])
async def test_a_name_without_an_address_is_not_dispatched(answer: Any) -> None:
    async def resolve(host: str) -> Sequence[str]:
        if isinstance(answer, OSError):
            raise answer
        return list(answer)

    with pytest.raises(NotDispatched) as refused:
        await _connect(Server(b"", port=1), resolver=resolve).dispatch(_order(Server(b"", port=1), {}, "add"))
    assert refused.value.code is ReasonCode.ERR_CONNECTOR_ERROR


async def test_a_closed_port_is_not_dispatched(nursery: trio.Nursery) -> None:
    closed = trio.socket.socket()
    await closed.bind(("127.0.0.1", 0))
    server = Server(b"", port=closed.getsockname()[1])
    with pytest.raises(NotDispatched) as refused:
        await _connect(server).dispatch(_order(server, {}, "add"))
    assert refused.value.code is ReasonCode.ERR_CONNECTOR_ERROR
    closed.close()


async def test_a_name_server_that_is_silent_is_not_dispatched(autojump_clock: trio.testing.MockClock) -> None:
    async def resolve(host: str) -> Sequence[str]:
        await trio.sleep(3600)
        return []

    server = Server(b"", port=1)
    with trio.fail_after(0.9), pytest.raises(NotDispatched) as refused:
        await _connect(server, resolver=resolve).dispatch(_order(server, {}, "add"))
    assert refused.value.code is ReasonCode.ERR_CONNECTOR_TIMEOUT


@pytest.mark.parametrize("status", [b"302 Found", b"307 Temporary Redirect"])
async def test_a_redirect_is_not_followed(nursery: trio.Nursery, status: bytes) -> None:
    forbidden = await _serve(nursery, ok(b"1"))
    location = b"Location: http://forbidden.example:%d/" % forbidden.port
    server = await _serve(nursery, ok(b"", location, status=status))
    with pytest.raises(ConnectorFailed, match="redirects are not followed"):
        await _connect(server).dispatch(_order(server, {}, "add"))
    assert forbidden.connections == 0 and server.connections == 1


@pytest.mark.parametrize("status", [b"400 Bad", b"404 None", b"429 Slow", b"500 Oops", b"503 Busy"])
async def test_an_error_answer_is_a_failure_with_its_status(nursery: trio.Nursery, status: bytes) -> None:
    server = await _serve(nursery, ok(b'{"secret":"detail"}', status=status))
    with pytest.raises(ConnectorFailed) as failed:
        await _connect(server).dispatch(_order(server, {}, "add"))
    assert failed.value.reason == f"HTTP {status[:3].decode()}"


async def test_no_content_is_null(nursery: trio.Nursery) -> None:
    server = await _serve(nursery, b"HTTP/1.1 204 None\r\n\r\n")
    connector = _connect(server)
    assert await connector.dispatch(_order(server, {}, "add")) is None
    await connector.aclose()


NO_ANSWER = {
    "nothing": b"",
    "half a document": b'{"a":',
    "a name twice": b'{"paid":false,"paid":true}',
    "not a number": b"NaN",
    "two documents": b"1 2",
    "a page": b"<html></html>",
    "no UTF-8": b'"\xff"',
    "half a character": b'"\\ud800"',
    "too deep": b"[" * 100 + b"]" * 100,
}


@pytest.mark.parametrize("body", NO_ANSWER.values(), ids=NO_ANSWER.keys())
async def test_an_answer_that_is_no_strict_json_leaves_the_effect_unknown(nursery: trio.Nursery, body: bytes) -> None:
    server = await _serve(nursery, ok(body))
    connector = _connect(server)
    with pytest.raises(ConnectorUnknown):
        await connector.dispatch(_order(server, {}, "add"))
    await connector.aclose()


async def test_a_bomb_is_not_unpacked(nursery: trio.Nursery) -> None:
    bomb = gzip.compress(b'"' + b"a" * 50_000_000 + b'"')
    server = await _serve(nursery, ok(bomb, b"Content-Encoding: gzip"))
    with pytest.raises(ConnectorUnknown, match="coding"):
        await _connect(server).dispatch(_order(server, {}, "add"))


async def test_an_endless_answer_is_cut_off(nursery: trio.Nursery) -> None:
    async def pour(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            await stream.send_all(b"1000\r\n" + b" " * 4096 + b"\r\n")

    server = await _serve(nursery, pour)
    with pytest.raises(ConnectorUnknown, match="longer than 65536 bytes"):
        await _connect(server, max_response_bytes=65536).dispatch(_order(server, {}, "add"))


async def test_an_answer_of_the_limit_is_taken(nursery: trio.Nursery) -> None:
    server = await _serve(nursery, ok(b'"' + b"a" * 98 + b'"'))
    connector = _connect(server, max_response_bytes=100)
    assert await connector.dispatch(_order(server, {}, "add")) == "a" * 98
    smaller = _connect(server, max_response_bytes=99)
    with pytest.raises(ConnectorUnknown):
        await smaller.dispatch(_order(server, {}, "add"))
    await connector.aclose()


BROKEN = {
    "another protocol": b"HTTP/1.1 101 Go\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "closed at once": b"",
    "closed in the head": b"HTTP/1.1 200 O",
    "closed in the body": b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
    "not HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n1",
    "an endless head": b"HTTP/1.1 200 OK\r\n" + b"X: " + b"a" * 200_000,
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN.keys())
async def test_a_connection_that_breaks_after_the_request_leaves_the_effect_unknown(
    nursery: trio.Nursery, answer: bytes
) -> None:
    async def break_off(stream: trio.abc.Stream) -> None:
        await stream.send_all(answer)
        raise trio.BrokenResourceError

    server = await _serve(nursery, break_off)
    with pytest.raises(ConnectorUnknown):
        await _connect(server).dispatch(_order(server, {}, "add"))
    assert len(server.requests) == 1


async def test_a_slow_answer_is_cancelled_and_its_connection_never_used_again(nursery: trio.Nursery) -> None:
    begun = trio.Event()

    async def drip(stream: trio.abc.Stream) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1")
        begun.set()
        await stream.receive_some(1)

    server = await _serve(nursery, drip)
    connector = _connect(server)
    async with trio.open_nursery() as calls:
        calls.start_soon(connector.dispatch, _order(server, {}, "add"))
        await begun.wait()
        calls.cancel_scope.cancel()
    server.answer = ok(b"1")
    assert await connector.dispatch(_order(server, {}, "add")) == 1
    assert server.connections == 2
    await connector.aclose()


async def test_a_connection_the_server_closed_is_not_used_for_the_next_call(nursery: trio.Nursery) -> None:
    closed = trio.Event()

    async def once(stream: trio.abc.Stream) -> None:
        await stream.send_all(ok(b"1"))
        await stream.aclose()
        closed.set()
        raise trio.BrokenResourceError

    server = await _serve(nursery, once)
    connector = _connect(server)
    assert await connector.dispatch(_order(server, {}, "add")) == 1
    await closed.wait()
    assert await connector.dispatch(_order(server, {}, "add")) == 1
    await connector.aclose()


async def test_a_proxy_from_the_environment_is_not_used(nursery: trio.Nursery, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = await _serve(nursery, ok(b'"proxied"'))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
    server = await _serve(nursery, ok(b'"direct"'))
    connector = _connect(server)
    assert await connector.dispatch(_order(server, {}, "add")) == "direct"
    assert proxy.connections == 0
    await connector.aclose()


async def test_a_cookie_is_not_kept(nursery: trio.Nursery) -> None:
    server = await _serve(nursery, ok(b"1", b"Set-Cookie: a=b"))
    connector = _connect(server)
    for _ in range(2):
        await connector.dispatch(_order(server, {}, "add"))
    assert b"cookie" not in server.requests[1].lower()
    await connector.aclose()


def _certificate(folder: Path, name: str) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "ca.pem").write_bytes(pem)
    (folder / "both.pem").write_bytes(pem + secret)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "both.pem")
    return context


@pytest.mark.parametrize(("certified", "is_trusted"), [("api.example", True), ("other.example", False)])
async def test_tls_is_spoken_with_the_name_and_not_with_the_address(
    nursery: trio.Nursery, tmp_path: Path, certified: str, is_trusted: bool
) -> None:
    server = await Server(ok(b"1"), tls=_certificate(tmp_path, certified)).start(nursery)
    where = f"https://api.example:{server.port}"
    connection = _connection(origin=where, allow_private=True)
    trusted = ssl.create_default_context(cafile=tmp_path / "ca.pem")
    connector = HttpConnector(connection, resolver=HOME, ssl_context=trusted)
    call = partial(connector.dispatch, _order(server, {}, "add", destination=where))
    if is_trusted:
        assert await call() == 1
    else:
        with pytest.raises(Unreachable, match=r"\(its certificate is not trusted\) before anything was sent"):
            await call()
        assert server.requests == []
    await connector.aclose()


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "127.1", "0x7f000001"])
def test_for_an_address_the_system_resolver_asks_nobody_and_waits_for_nothing(address: str) -> None:
    with pytest.raises(StopIteration) as resolved:
        system_resolver()(address).send(None)  # type: ignore[attr-defined] # no loop is there to wait in
    assert ip_address(resolved.value.value[0]).is_loopback


async def test_the_system_resolver_reads_addresses_as_they_are() -> None:
    for address in ("127.0.0.1", "::1"):
        assert ip_address((await system_resolver()(address))[0]) == ip_address(address)


@pytest.mark.parametrize(
    "fields",
    [
        {"origin": "ftp://a.example:21"},
        {"origin": "a.example"},
        {"origin": "https://u@a.example"},
        {"origin": ""},
        {"operations": {"x": _operation("GET", url_argument="url")}},
        {"headers": {"Host": "b.example"}},
        {"headers": {"Content-Length": "1"}},
        {"headers": {"X-Helm-Decision-ID": "dec_1"}},
        {"headers": {"Transfer-Encoding": "chunked"}},
        {"headers": {"A b": "1"}},
        {"headers": {"A": "1\r\nB: 2"}},
        {"headers": {"A": "é"}},
        {"headers": {"A": ""}},
    ],
)
def test_a_service_that_could_misdirect_a_request_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        HttpConnector(_connection(**({"origin": "https://a.example"} | fields)))


def test_a_secret_header_is_checked_like_any() -> None:
    with pytest.raises(Invalid):
        HttpConnector(_connection(origin="https://a.example"), secret_headers={"Host": "b.example"})


@pytest.mark.parametrize(
    "path",
    ["items", "", "/a b", "/a?b", "/a#b", "/{a", "/{1}", "/a/../b", "/./a", "//é", "https://a.example/"],
)
def test_a_template_that_is_no_plain_path_is_refused(path: str) -> None:
    with pytest.raises(Invalid):
        HttpConnector(_connection(origin="https://a.example", operations={"x": _operation("GET", path)}))


def test_an_operation_with_two_places_to_go_or_a_strange_method_is_refused() -> None:
    for operation in (_operation("GET", "/a", url_argument="url"), _operation("CONNECT", "/a")):
        with pytest.raises(Invalid):
            HttpConnector(_connection(origin="https://a.example", operations={"x": operation}))
