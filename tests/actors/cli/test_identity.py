"""helm identity: who is known, on a gateway and in a data directory, and whom a credential would make of its holder."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio
from cryptography.hazmat.primitives.serialization import Encoding

from actors.cli.server import Server
from actors.doors.calls import EXECUTE
from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import Ended, helm
from tests.actors.doors.issuing import (
    DOMAIN,
    FOREIGN,
    WORKLOAD,
    Pair,
    authority,
    certified,
    hmac_of_the_public_key,
    key,
    policy,
    rsa,
    svid,
    token,
)
from tests.actors.puppet import Puppet
from tests.journeys.gateway import NOON_MS, build, gateway


async def run(*words: str, **environment: str) -> Ended:
    return await trio.to_thread.run_sync(partial(helm, *words, **environment))


async def test_a_gateway_tells_whom_it_knows(tmp_path: Path) -> None:
    house = build(tmp_path / "data")
    option = ("--data-dir", str(house.place.path))
    times = {"iat": NOON_MS // 1000, "exp": NOON_MS // 1000 + 600}
    async with gateway(house, house.sign(policy()), {"local": Puppet(), "other": Puppet()}) as at:
        server = (*option, "--server", at.url)
        body = json.dumps({"tool": "read", "arguments": {}, "session_id": "of-alice"}).encode()
        called = await trio.to_thread.run_sync(
            partial(Server(at.url, token(times)).ask, "POST", EXECUTE, body, **{"content-type": "application/json"})
        )
        assert called.status == 200
        told = await run("identity", "agents", "--json", *server, HELM_API_KEY=house.keys["operator"])
        table = await run("identity", "agents", *server, HELM_API_KEY=house.keys["operator"])
        alice = next(one for one in told.json()["agents"] if one["source"] == "oidc:corp")
        one = await run("identity", "show", alice["agent_id"], *server, HELM_API_KEY=house.keys["operator"])
        nobody = await run("identity", "show", "agt_" + "0" * 32, *server, HELM_API_KEY=house.keys["operator"])
    assert alice["principal"] == "oidc:corp:alice"
    assert alice["last_seen_ms"] == NOON_MS
    assert "oidc:corp:alice" in table.out and "https://login.corp.example" in table.err
    assert "of-alice" in one.out
    assert (one.code, nobody.code) == (0, 1)
    (tmp_path / "data" / "policy.toml").write_text(policy())
    there = await run("identity", "agents", "--json", *option)
    assert [one["agent_id"] for one in there.json()["agents"]] == [one["agent_id"] for one in told.json()["agents"]]


@pytest.fixture
def under_policy(made: Made) -> Made:
    (made.path / "policy.toml").write_text(policy())
    return made


def now() -> dict[str, int]:
    return {"iat": int(time.time()), "exp": int(time.time()) + 600}


def pem(*path: Pair) -> str:
    return "".join(one.certificate.public_bytes(Encoding.PEM).decode() for one in path)


def between() -> Pair:
    return certified(f"spiffe://{DOMAIN}", by=authority(), authority=True, common_name="between")


def chain() -> str:
    above = between()
    return pem(certified(WORKLOAD, by=above), above)


COUNTS: dict[str, tuple[Callable[[Made], str], str, str]] = {
    "a key": (lambda made: made.tenant_key, "agent", "key"),
    "a token": (lambda _: token(now()), "oidc:corp:alice", "https://login.corp.example"),
    "an SVID": (lambda _: svid(now()), WORKLOAD, f"spiffe://{DOMAIN}"),
    "a certificate": (lambda _: pem(certified(WORKLOAD, by=authority())), WORKLOAD, f"spiffe://{DOMAIN}"),
    "a certificate with those above it": (lambda _: chain(), WORKLOAD, f"spiffe://{DOMAIN}"),
    "a certificate with its root": (
        lambda _: pem(certified(WORKLOAD, by=authority()), authority()),
        WORKLOAD,
        f"spiffe://{DOMAIN}",
    ),
}


@pytest.mark.parametrize("case", COUNTS)
def test_a_credential_is_told_whom_it_makes_of_its_holder(under_policy: Made, tmp_path: Path, case: str) -> None:
    make, principal, source = COUNTS[case]
    file, credential = tmp_path / "credential", make(under_policy)
    file.write_text(credential + "\n")
    told = helm("identity", "check", str(file), "--json", *under_policy.option)
    assert told.code == 0
    assert (told.json()["principal"], told.json()["source"]) == (principal, source)
    assert credential not in told.out + told.err


COUNTS_NOT: dict[str, tuple[Callable[[], str], str]] = {
    "nothing": (lambda: "", "neither a key"),
    "a key of nobody": (lambda: "helm_" + "A" * 43, "neither a key"),
    "expired": (lambda: token({"exp": int(time.time()) - 600}), "expired"),
    "for another": (lambda: token({"aud": "https://other.example"} | now()), "another audience"),
    "of another issuer": (lambda: token({"iss": "https://evil.example"} | now()), "no such issuer"),
    "the public key as a secret": (hmac_of_the_public_key, "algorithm"),
    "another key": (lambda: token(now(), signer=key("two")), "signature"),
    "another algorithm": (lambda: token(now(), signer=rsa(), alg="PS256", kid="rsa"), "algorithm"),
    "another trust domain": (lambda: pem(certified(WORKLOAD, by=authority(FOREIGN))), "no root"),
    "nobody's": (lambda: pem(certified(WORKLOAD)), "no root"),
    "two URIs": (lambda: pem(certified(WORKLOAD, WORKLOAD, by=authority())), "2 URIs"),
    "an authority": (lambda: pem(certified(WORKLOAD, by=authority(), authority=True)), "authority"),
    "below a workload": (
        lambda: pem(certified(WORKLOAD, by=(leaf := certified(WORKLOAD, by=authority()))), leaf),
        "no root",
    ),
    "past": (lambda: pem(certified(WORKLOAD, by=authority(), days=365)), "at this time"),
    "not a certificate": (lambda: "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "cannot be read"),
}


@pytest.mark.parametrize("case", COUNTS_NOT)
def test_a_credential_that_does_not_count_is_told_why(under_policy: Made, tmp_path: Path, case: str) -> None:
    make, why = COUNTS_NOT[case]
    file = tmp_path / "credential"
    file.write_text(make())
    told = helm("identity", "check", str(file), "--json", *under_policy.option)
    assert told.code == 1
    assert why in told.json()["why"]


def test_a_file_as_long_as_a_book_is_not_read(under_policy: Made, tmp_path: Path) -> None:
    file = tmp_path / "credential"
    file.write_text("x" * 70_000)
    told = helm("identity", "check", str(file), *under_policy.option)
    assert told.code == 1
    assert "more than" in told.err


def test_a_policy_whose_keys_cannot_be_used_is_refused_before_it_is_signed(made: Made) -> None:
    file = made.path / "policy.toml"
    good = policy()
    x, point = (str(one.as_dict(private=False)[member]) for one, member in ((key(), "x"), (rsa(), "n")))
    for broken in (
        good.replace(x, "AAAA"),
        policy(roots=[certified(WORKLOAD, by=authority())]),
        good.replace('"x5c": ["', '"x5c": ["AAAA'),
        good.replace(point, "!" * len(point)),
    ):
        file.write_text(broken)
        checked = helm("policy", "check", str(file), *made.option)
        signed = helm("policy", "sign", str(file), *made.option)
        assert (checked.code, signed.code) == (1, 1), checked.out
        assert "identity." in checked.err
