"""Client certificates: a connection's client is the workload that its own trust domain's roots vouch for, or nobody."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import attrs
import pytest
import trio
from cryptography.x509.oid import ExtendedKeyUsageOID

from actors.doors.calls import EXECUTE
from actors.doors.connect.head import who_asks
from actors.doors.heading import heading_of
from actors.doors.problem import Problem
from actors.doors.tls import asking
from actors.identity.certificates import Presented
from actors.identity.credentials import Credentials
from actors.keys.bearer import BearerKeys
from actors.stream_client import StreamEnded, open_stream
from helm.config import Config, read_config
from helm.contracts.errors import Invalid
from helm.guardian.bearers import Bearers
from helm.guardian.bundle import load_toml
from helm.guardian.identity import Identity, TrustDomain
from helm.guardian.policy import NO_POLICY
from tests.actors.doors.issuing import (
    DOMAIN,
    FOREIGN,
    WORKLOAD,
    Pair,
    authority,
    certified,
    client_tls,
    part,
    policy,
    svid,
    token,
)
from tests.actors.doors.street import SOON_S, Client, Reply, Street, open_street
from tests.actors.kit import House, HouseClock

READ = b'{"tool": "read", "arguments": {"path": "a"}, "session_id": "s"}'


@cache
def server() -> Pair:
    return certified()


@cache
def workload() -> Pair:
    return certified(WORKLOAD, by=authority())


@asynccontextmanager
async def opened(house: House, tmp_path: Path, asked: str = "optional", text: str = "") -> AsyncIterator[Street]:
    cert, key = server().files(tmp_path)
    config = Config(port=0, grace_s=2.0, tls_cert=cert, tls_key=key, client_certificates=asked)
    async with open_street(house, policy=text or policy(), config=config) as street:
        yield street


@asynccontextmanager
async def connected(
    street: Street, tmp_path: Path, *chain: Pair, version: ssl.TLSVersion | None = None
) -> AsyncIterator[Client]:
    """Yield a connection on which the client showed these certificates, its own first."""
    files = chain[0].files(tmp_path, *chain[1:]) if chain else None
    context = client_tls(server(), files)
    if version is not None:
        context.maximum_version = version
    plain = await trio.open_tcp_stream(street.address.host, street.address.port)
    stream = trio.SSLStream(plain, context, server_hostname="127.0.0.1", https_compatible=True)
    try:
        yield Client(stream)  # type: ignore[arg-type]
    finally:
        await trio.aclose_forcefully(stream)


async def ask(client: Client, key: str = "", path: str = EXECUTE, body: bytes = READ, **more: Any) -> Reply:
    headers = {"content-type": "application/json"} if body else {}
    headers |= {"authorization": f"Bearer {key}"} if key else {}
    return await client.ask("POST" if body else "GET", path, body, headers | more)


async def fails(street: Street, tmp_path: Path, *chain: Pair, **more: Any) -> bool:
    """Tell whether no answer at all comes: the handshake fails, which TLS 1.3 tells when one reads."""
    try:
        async with connected(street, tmp_path, *chain, **more) as client:
            await ask(client)
    except (trio.BrokenResourceError, ssl.SSLError):
        return True
    return False


# -- who comes in -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("asked", ["optional", "required"])
async def test_a_workloads_certificate_makes_it_its_spiffe_id(house: House, tmp_path: Path, asked: str) -> None:
    async with opened(house, tmp_path, asked) as street, connected(street, tmp_path, workload()) as client:
        told = await ask(client)
        again = await ask(client)
        control = await ask(client, path="/api/v1/receipts", body=b"")
    assert (told.status, again.status, control.status) == (200, 200, 200)
    assert (told.receipt["principal"], told.receipt["tenant"]) == (WORKLOAD, "acme")


async def test_every_door_takes_a_certificate(house: House, tmp_path: Path) -> None:
    listing = b'{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "read", "arguments": {}}}'
    async with opened(house, tmp_path) as street, connected(street, tmp_path, workload()) as client:
        verdict = await ask(client, path="/api/v1/evaluate")
        mcp = await ask(client, path="/mcp", body=listing, host="localhost")
        await client.send("GET", "/v1/stream", b"", UPGRADE)
        said = b""
        with trio.fail_after(SOON_S):
            while b"\r\n\r\n" not in said:
                said += await client.stream.receive_some()
    assert (verdict.status, mcp.status) == (200, 200)
    assert said.startswith(b"HTTP/1.1 101 ")


UPGRADE: Mapping[str, str] = {
    "host": "helm",
    "upgrade": "websocket",
    "connection": "Upgrade",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-version": "13",
    "sec-websocket-protocol": "helm.stream.v1",
}


async def test_one_workload_is_one_principal_with_whichever_svid_it_comes(house: House, tmp_path: Path) -> None:
    async with opened(house, tmp_path) as street, connected(street, tmp_path, workload()) as client:
        own = [await ask(client), await ask(client, svid())]
    assert [one.receipt["lamport_clock"] for one in own] == [1, 2]
    assert {one.receipt["session_id"] for one in own} == {"s"}


async def test_an_authority_between_root_and_workload_is_followed(house: House, tmp_path: Path) -> None:
    between = certified(f"spiffe://{DOMAIN}", by=authority(), authority=True, common_name="between")
    leaf = certified(WORKLOAD, by=between)
    async with opened(house, tmp_path) as street, connected(street, tmp_path, leaf, between) as client:
        assert (await ask(client)).receipt["principal"] == WORKLOAD


async def test_an_authority_below_a_root_that_is_not_pinned_may_be_pinned(house: House, tmp_path: Path) -> None:
    above = certified(authority=True, common_name="above")
    between = certified(f"spiffe://{DOMAIN}", by=above, authority=True, common_name="between")
    leaf = certified(WORKLOAD, by=between)
    pinned = policy(roots=[between])
    async with opened(house, tmp_path, text=pinned) as street, connected(street, tmp_path, leaf) as client:
        assert (await ask(client)).status == 200


async def test_a_client_without_a_certificate_brings_a_key_where_it_may(house: House, tmp_path: Path) -> None:
    async with opened(house, tmp_path) as street, connected(street, tmp_path) as client:
        nothing, own, issued = await ask(client), await ask(client, street.agent), await ask(client, token())
    assert (nothing.status, own.status) == (401, 200)
    assert issued.json()["reason_code"] == "IDENTITY_ISOLATION_VIOLATION"  # the session is the key's holder's


async def test_a_client_without_a_certificate_gets_nothing_where_one_is_required(house: House, tmp_path: Path) -> None:
    async with opened(house, tmp_path, "required") as street:
        assert await fails(street, tmp_path)
        async with connected(street, tmp_path, workload()) as client:
            told = await ask(client, street.admin, "/api/v1/connectors", b"")
    assert told.status == 200


async def test_a_certificate_that_rfc_5280_does_not_allow_ends_in_the_handshake(house: House, tmp_path: Path) -> None:
    async with opened(house, tmp_path) as street:
        assert await fails(street, tmp_path, certified(WORKLOAD, by=authority(), names_issuer=False))
        assert not await fails(street, tmp_path, workload())


async def test_an_authorization_header_is_the_credential_where_there_is_one(house: House, tmp_path: Path) -> None:
    async with opened(house, tmp_path) as street, connected(street, tmp_path, workload()) as client:
        own = await ask(client, street.agent)
        bad = await ask(client, "helm_of-nobody")
    assert own.receipt["principal"] == "agent"
    assert bad.status == 401


# -- who does not -----------------------------------------------------------------------------------------------------


EDI_PARTY: Final = b"\xa5\x06\xa1\x04\x0c\x02hi"
"""An ediPartyName (RFC 5280 section 4.2.1.6): OpenSSL takes it, and the library that we read names with does not."""


def below_too_many() -> list[Pair]:
    """Return a path in which one authority may certify workloads only, and certifies another authority."""
    narrow = certified(f"spiffe://{DOMAIN}", by=authority(), authority=True, path_length=0, common_name="narrow")
    lower = certified(f"spiffe://{DOMAIN}", by=narrow, authority=True, common_name="lower")
    return [certified(WORKLOAD, by=lower), lower, narrow]


NOBODYS: dict[str, Callable[[], list[Pair]]] = {
    "two URIs": lambda: [certified(WORKLOAD, f"spiffe://{DOMAIN}/admin", by=authority())],
    "the same URI twice": lambda: [certified(WORKLOAD, WORKLOAD, by=authority())],
    "a second URI that is no SPIFFE id": lambda: [certified(WORKLOAD, "https://example.com/", by=authority())],
    "no URI": lambda: [certified(by=authority())],
    "a URI of another kind": lambda: [certified("https://prod.example/ns/agents", by=authority())],
    "another trust domain's name": lambda: [certified(f"spiffe://{FOREIGN}/ns/agents", by=authority())],
    "another trust domain's root": lambda: [certified(WORKLOAD, by=authority(FOREIGN))],
    "a trust domain that nobody knows": lambda: [certified("spiffe://evil.example/a", by=authority())],
    "the trust domain itself": lambda: [certified(f"spiffe://{DOMAIN}", by=authority())],
    "a path that climbs": lambda: [certified(f"spiffe://{DOMAIN}/ns/../admin", by=authority())],
    "a path that is encoded": lambda: [certified(f"spiffe://{DOMAIN}/%61dmin", by=authority())],
    "a path that ends with a slash": lambda: [certified(f"{WORKLOAD}/", by=authority())],
    "a query": lambda: [certified(f"{WORKLOAD}?x=1", by=authority())],
    "an authority as a workload": lambda: [certified(WORKLOAD, by=authority(), authority=True)],
    "an authority that signs no certificates": lambda: [
        certified(WORKLOAD, by=authority(), authority=True, may_certify=False)
    ],
    "a workload that may sign certificates": lambda: [certified(WORKLOAD, by=authority(), may_certify=True)],
    "the root itself": lambda: [authority()],
    "signed by itself": lambda: [certified(WORKLOAD)],
    "an authority of nobody": lambda: [certified(WORKLOAD, by=certified(authority=True, common_name="evil"))],
    "an authority with the root's name": lambda: [
        certified(WORKLOAD, by=certified(authority=True, common_name=f"root of {DOMAIN}"))
    ],
    "a workload as an authority": lambda: [certified(f"spiffe://{DOMAIN}/admin", by=workload()), workload()],
    "a server's": lambda: [certified(WORKLOAD, by=authority(), purposes=(ExtendedKeyUsageOID.SERVER_AUTH,))],
    "a key that signs nothing": lambda: [certified(WORKLOAD, by=authority(), signs=False)],
    "no word of what its key is for": lambda: [certified(WORKLOAD, by=authority(), says_usage=False)],
    "not yet valid": lambda: [certified(WORKLOAD, by=authority(), start=datetime(2090, 1, 1, tzinfo=UTC))],
    "below more authorities than the one above allows": below_too_many,
    "expired": lambda: [certified(WORKLOAD, by=authority(), days=365)],
    "a name of a kind that nobody reads": lambda: [certified(WORKLOAD, by=authority(), odd_name=EDI_PARTY)],
}


@pytest.mark.parametrize("case", NOBODYS)
async def test_a_certificate_that_no_svid_rule_admits_is_nobodys(house: House, tmp_path: Path, case: str) -> None:
    async with opened(house, tmp_path) as street:
        try:
            async with connected(street, tmp_path, *NOBODYS[case]()) as client:
                status = (await ask(client)).status
        except (trio.BrokenResourceError, ssl.SSLError):
            status = 401  # the handshake has failed already
        assert not street.kernel.memory.sessions.bindings
        async with connected(street, tmp_path, workload()) as client:
            assert (await ask(client)).status == 200
    assert status == 401


async def test_a_certificate_that_cannot_be_read_ends_no_kernel_by_way_of_a_stream(
    house: House, tmp_path: Path
) -> None:
    async with opened(house, tmp_path) as street:
        async with connected(street, tmp_path, certified(WORKLOAD, by=authority(), odd_name=EDI_PARTY)) as client:
            asked = {"upgrade": "websocket", "connection": "upgrade", "sec-websocket-version": "13"}
            reply = await client.ask("GET", "/v1/stream", b"", asked | {"sec-websocket-key": "x" * 22 + "=="})
        assert reply.status == 401
        async with connected(street, tmp_path, workload()) as client:
            assert (await ask(client)).status == 200


async def test_who_asks_for_an_old_tls_shows_no_certificate(house: House, tmp_path: Path) -> None:
    async with opened(house, tmp_path) as street:
        assert await fails(street, tmp_path, workload(), version=ssl.TLSVersion.TLSv1_2)


async def test_without_the_setting_no_certificate_is_asked_for(house: House, tmp_path: Path) -> None:
    async with opened(house, tmp_path, "none") as street, connected(street, tmp_path, workload()) as client:
        assert (await ask(client)).status == 401


async def test_a_certificate_in_a_header_is_nobodys(house: House, tmp_path: Path) -> None:
    async with opened(house, tmp_path) as street, connected(street, tmp_path) as client:
        forwarded: dict[str, Any] = {"x-forwarded-client-cert": f'URI="{WORKLOAD}"', "x-ssl-cert": "AA"}
        told = await ask(client, **forwarded)
    assert told.status == 401


# -- how long one counts ----------------------------------------------------------------------------------------------


async def test_a_root_that_is_pinned_no_more_vouches_for_nobody_at_once(house: House, tmp_path: Path) -> None:
    newer = certified(f"spiffe://{DOMAIN}", authority=True, common_name="the newer root")
    moved = certified(WORKLOAD, by=newer)
    async with opened(house, tmp_path) as street:
        async with connected(street, tmp_path, workload()) as client:
            before = await ask(client)
            signed = house.sign(policy(epoch=8, roots=[newer]))
            await street.kernel.activate(signed, street.kernel.executor.connectors)
            after = await ask(client)
        gone = await fails(street, tmp_path, workload())
        async with connected(street, tmp_path, moved) as client:
            new = await ask(client)
    assert (before.status, after.status, gone, new.status) == (200, 401, True, 200)


async def test_a_certificate_ends_on_a_connection_that_does_not(house: House, tmp_path: Path) -> None:
    async with opened(house, tmp_path) as street, connected(street, tmp_path, workload()) as client:
        before = await ask(client)
        house.clock.advance(36_500 * 86_400)
        after = await ask(client)
    assert (before.status, after.status) == (200, 401)


async def test_a_token_that_is_bound_to_a_certificate_comes_with_it_or_not_at_all(house: House, tmp_path: Path) -> None:
    bound = token({"cnf": {"x5t#S256": part(sha256(workload().der).digest())}})
    other = certified(WORKLOAD, by=authority())
    async with opened(house, tmp_path) as street:
        async with connected(street, tmp_path, workload()) as client:
            own = await ask(client, bound)
        async with connected(street, tmp_path, other) as client:
            stolen = await ask(client, bound)
        async with connected(street, tmp_path) as client:
            alone = await ask(client, bound)
    assert own.receipt["principal"] == "oidc:corp:alice"
    assert (stolen.status, alone.status) == (401, 401)


async def test_a_stream_ends_with_the_certificate_that_opened_it(house: House, tmp_path: Path) -> None:
    async with opened(house, tmp_path) as street:
        tls = client_tls(server(), workload().files(tmp_path))
        async with open_stream(street.address.url, "", tls) as stream:
            receipt = (await stream.call("read", {"path": "a"})).receipt
            assert receipt is not None
            assert receipt["principal"] == WORKLOAD
            house.clock.advance(36_500 * 86_400)
            with pytest.raises(StreamEnded, match="ended"):
                await stream.call("read", {"path": "b"})


async def test_a_policy_is_followed_also_where_our_own_certificate_cannot_be_read_again(
    house: House, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    newer = certified(f"spiffe://{DOMAIN}", authority=True, common_name="the newer root")
    async with opened(house, tmp_path) as street:
        remove(tmp_path, server())
        signed = house.sign(policy(epoch=8, roots=[newer]))
        await street.kernel.activate(signed, street.kernel.executor.connectors)
        async with connected(street, tmp_path, workload()) as client:
            old = await ask(client)  # the handshake still knows its root, the policy does not
            own = await ask(client, street.agent)
    assert (old.status, own.status) == (401, 200)
    assert "the policy before" in caplog.text


def remove(directory: Path, pair: Pair) -> None:
    for file in directory.glob(f"{pair.certificate.serial_number}.*"):
        file.unlink()


def test_a_root_that_tls_cannot_use_is_refused_at_the_start(tmp_path: Path) -> None:
    cert, key = server().files(tmp_path)
    config = Config(tls_cert=cert, tls_key=key, client_certificates="optional")
    domain = TrustDomain(
        name=DOMAIN, tenant="acme", audiences=(), jwks=b'{"keys":[]}', roots=(b"DER",), leeway_s=0, max_age_s=1
    )
    broken = attrs.evolve(NO_POLICY, identity=Identity(issuers={}, domains={DOMAIN: domain}))
    with pytest.raises(Invalid, match="cannot be used"):
        asking(config, broken)


@pytest.mark.parametrize("asked", ["optional", "required"])
def test_certificates_are_asked_for_over_tls_alone(asked: str) -> None:
    with pytest.raises(Invalid, match="need TLS"):
        read_config(f'client_certificates = "{asked}"')


@pytest.mark.parametrize("words", [b"Basic !!!", b"Basic aGVsbQ==", b"Bearer", b"Digest x"])
def test_a_tunnel_is_nobodys_whose_header_does_not_count(tmp_path: Path, words: bytes) -> None:
    known = load_toml(policy(), "test policy")
    who = Credentials(BearerKeys(tmp_path / "keys.json", ()), lambda: known, HouseClock(), Bearers())
    presented = Presented((workload().der, authority().der))
    assert who_asks(who, heading_of([]), presented)[0].principal == WORKLOAD
    with pytest.raises(Problem) as refused:
        who_asks(who, heading_of([(b"proxy-authorization", words)]), presented)
    assert refused.value.status == 407
