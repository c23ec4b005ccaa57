"""Access tokens at the MCP door: only those of the policy's issuer, for this door, now, and only as far as they go."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pytest
from joserfc import jws, jwt
from joserfc.jwk import OKPKey, RSAKey

from helm.contracts.reason import ReasonCode
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.journeys.gateway import NOON_MS, Gateway, build, gateway

RESOURCE = "https://gateway.example.com/mcp"
ISSUER = "https://login.example.com"
METADATA = "/.well-known/oauth-protected-resource/mcp"
NOON = NOON_MS // 1000
GOOD = {"iss": ISSUER, "aud": RESOURCE, "sub": "agent-of-token", "exp": NOON + 600, "scope": "tools numbers"}


@cache
def key(name: str = "one") -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"kid": name})


@cache
def rsa() -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": "rsa"})


def policy() -> str:
    jwks = json.dumps({"keys": [key().as_dict(private=False), rsa().as_dict(private=False)]})
    text = POLICY.replace("[tools.strict]\n", '[tools.strict]\nscopes = ["numbers"]\n')
    return f"""{text}
[oauth]
resource = "{RESOURCE}"
authorization_servers = ["{ISSUER}"]
algorithms = ["Ed25519", "RS256"]
jwks = '{jwks}'
required_scopes = ["tools"]
"""


def token(changes: dict[str, Any] | None = None, signer: Any = None, **header: Any) -> str:
    claims = {name: value for name, value in (GOOD | (changes or {})).items() if value is not None}
    said = {"alg": "Ed25519", "kid": "one", "typ": "at+jwt"} | header
    said = {name: value for name, value in said.items() if value is not None}
    return jwt.encode(said, claims, signer or key(), algorithms=[said["alg"]])


@asynccontextmanager
async def opened(tmp_path: Path, text: str = "") -> AsyncIterator[Gateway]:
    house = build(tmp_path / "data")
    puppet = Puppet(deed=lambda order: {"n": 2})
    async with gateway(house, house.sign(text or policy()), {"local": puppet, "other": puppet}) as at:
        yield at


async def post(at: Gateway, bearer: str, method: str = "tools/call", **params: Any) -> httpx2.Response:
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {"name": "strict", "arguments": {"n": 1}}}
    async with httpx2.AsyncClient(verify=False) as http:
        return await http.post(f"{at.url}/mcp", json=body, headers={"authorization": f"Bearer {bearer}"})


async def test_a_token_says_who_is_calling_and_how_far_it_goes(tmp_path: Path) -> None:
    async with opened(tmp_path) as at:
        told = await post(at, token())
        result = told.json()["result"]
        found = await at.kernel.library.story(result["_meta"]["helm/receipt_id"])
        listed = await post(at, token(), "tools/list")
    assert (told.status_code, result["isError"]) == (200, False)
    assert listed.status_code == 200
    assert found is not None
    assert (found["receipt"]["principal"], found["receipt"]["tenant"]) == ("oidc:mcp:agent-of-token", "default")
    assert found["record"]["oauth_resource"] == RESOURCE
    assert found["record"]["oauth_scopes"] == ["numbers", "tools"]


@pytest.mark.parametrize("scope", ["tools", "numbers", "", ["numbers"]], ids=str)
async def test_a_token_that_does_not_go_that_far_is_told_which_would(tmp_path: Path, scope: Any) -> None:
    async with opened(tmp_path) as at:
        told = await post(at, token({"scope": scope}))
        data = told.json()["error"]["data"]
        found = await at.kernel.library.story(data["helm/receipt_id"])
    challenge = told.headers["www-authenticate"]
    assert told.status_code == 403
    assert 'error="insufficient_scope"' in challenge
    assert f'scope="{" ".join(data["scopes"])}"' in challenge
    assert found is not None
    assert (found["receipt"]["verdict"], found["receipt"]["reason_code"]) == (
        "DENY",
        ReasonCode.INSUFFICIENT_PRIVILEGE,
    )


async def test_a_key_of_our_own_has_no_scopes(tmp_path: Path) -> None:
    async with opened(tmp_path) as at:
        scoped = await post(at, at.house.keys["agent"])
        plain = await post(at, at.house.keys["agent"], name="read", arguments={})
    assert "INSUFFICIENT_PRIVILEGE" in scoped.text
    assert plain.json()["result"]["isError"] is False


async def test_a_token_without_what_every_token_needs_sees_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as at:
        told = await post(at, token({"scope": "numbers"}), "tools/list")
        read = await post(at, token({"scope": "numbers"}), name="read", arguments={})
    assert (told.status_code, read.status_code) == (403, 403)
    assert told.json()["error"]["data"]["scopes"] == ["tools"]


def hmac_of_the_public_key() -> str:
    """Sign with the public key as if it were a shared secret (algorithm confusion)."""
    import hmac
    from hashlib import sha256

    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    text = f"{part({'alg': 'HS256', 'kid': 'rsa', 'typ': 'at+jwt'})}.{part(GOOD)}"
    secret: bytes = rsa().as_pem(private=False)
    mac = hmac.new(secret, text.encode(), sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def unsigned() -> str:
    def part(value: Any) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{part({'alg': 'none', 'kid': 'one', 'typ': 'at+jwt'})}.{part(GOOD)}.AA"


def said_twice() -> str:
    """Name two principals, and have it signed by a key that counts."""
    claims = json.dumps(GOOD).encode()[:-1] + b',"sub":"operator"}'
    return jws.serialize_compact({"alg": "Ed25519", "kid": "one", "typ": "at+jwt"}, claims, key(), ["Ed25519"])


def deep(where: str) -> str:
    """Nest a part of the token a thousand times."""
    nested = base64.urlsafe_b64encode(b"[" * 1500 + b"]" * 1500).rstrip(b"=").decode()
    parts = token().split(".")
    parts[0 if where == "header" else 1] = nested
    return ".".join(parts)


STOLEN_OR_FORGED: dict[str, Callable[[], str]] = {
    "a header of a thousand lists": lambda: deep("header"),
    "claims of a thousand lists": lambda: deep("claims"),
    "another issuer": lambda: token({"iss": "https://evil.example.com"}),
    "an issuer that begins alike": lambda: token({"iss": ISSUER + "/"}),
    "no issuer": lambda: token({"iss": None}),
    "another audience": lambda: token({"aud": "https://other.example.com/mcp"}),
    "an audience that begins alike": lambda: token({"aud": RESOURCE + "/more"}),
    "no audience": lambda: token({"aud": None}),
    "expired": lambda: token({"exp": NOON - 61}),
    "without an end": lambda: token({"exp": None}),
    "an end that is a text": lambda: token({"exp": "tomorrow"}),
    "not yet": lambda: token({"nbf": NOON + 61}),
    "no subject": lambda: token({"sub": None}),
    "a subject of two words": lambda: token({"sub": "two words"}),
    "a subject with a letter that looks alike": lambda: token({"sub": "\u0430gent"}),
    "a subject that is a number": lambda: token({"sub": 7}),
    "scopes that are a number": lambda: token({"scope": 7}),
    "a scope with a quote": lambda: token({"scope": 'tools a"b'}),
    "a thousand scopes": lambda: token({"scope": " ".join(f"s{n}" for n in range(1000))}),
    "another key of the same name": lambda: token(signer=OKPKey.generate_key("Ed25519", {"kid": "one"})),
    "a key that nobody knows": lambda: token(signer=key("two"), kid="two"),
    "no key named": lambda: token(kid=None),
    "an id token": lambda: token(typ="id+jwt"),
    "a DPoP proof": lambda: token(typ="dpop+jwt"),
    "an algorithm that the profile does not name": lambda: token(signer=rsa(), alg="RS512", kid="rsa"),
    "none": unsigned,
    "the public key as a secret": hmac_of_the_public_key,
    "a letter changed": lambda: token()[:-2] + ("A" if token()[-2] != "A" else "B") + token()[-1],
    "a claim that stands twice": said_twice,
    "a claim that two readers read differently": lambda: token({"n": 2**60}),
}


@pytest.mark.parametrize("case", STOLEN_OR_FORGED)
async def test_what_is_no_token_for_this_door_opens_nothing(tmp_path: Path, case: str) -> None:
    async with opened(tmp_path) as at:
        forged: Callable[[], str] = STOLEN_OR_FORGED[case]
        told = await post(at, forged())
        assert at.kernel.memory.sessions.find(("default", "x")) is None
        receipts = at.kernel.appender.graph.lamport
        again = await post(at, "x" * 9000)
        assert at.kernel.appender.graph.lamport == receipts
    assert (told.status_code, again.status_code) == (401, 401)
    assert f'resource_metadata="https://gateway.example.com{METADATA}"' in told.headers["www-authenticate"]


async def test_another_algorithm_of_the_profile_opens_too(tmp_path: Path) -> None:
    async with opened(tmp_path) as at:
        told = await post(at, token(signer=rsa(), alg="RS256", kid="rsa"))
    assert told.status_code == 200


async def test_the_metadata_say_whose_tokens_are_taken(tmp_path: Path) -> None:
    async with opened(tmp_path) as at, httpx2.AsyncClient(verify=False) as http:
        told = await http.get(f"{at.url}{METADATA}")
        posted = await http.post(f"{at.url}{METADATA}")
        nobody = await http.post(f"{at.url}/mcp")
    assert told.json() == {
        "authorization_servers": [ISSUER],
        "bearer_methods_supported": ["header"],
        "resource": RESOURCE,
        "resource_name": "HELM",
        "scopes_supported": ["numbers", "tools"],
    }
    assert (posted.status_code, nobody.status_code) == (405, 401)
    assert METADATA in nobody.headers["www-authenticate"]


async def test_without_a_profile_no_token_opens_anything(tmp_path: Path) -> None:
    async with opened(tmp_path, POLICY) as at, httpx2.AsyncClient(verify=False) as http:
        told = await post(at, token())
        metadata = await http.get(f"{at.url}{METADATA}")
    assert (told.status_code, metadata.status_code) == (401, 404)


async def test_two_tokens_of_one_holder_are_one_session_and_another_issuer_is_another(tmp_path: Path) -> None:
    async with opened(tmp_path) as at:
        first = await post(at, token())
        second = await post(at, token({"exp": NOON + 700}))
        clocks = [told.json()["result"]["_meta"]["helm/lamport_clock"] for told in (first, second)]
    assert clocks == [1, 2]
