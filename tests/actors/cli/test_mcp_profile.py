"""helm mcp auth-profile: the issuer's keys are put into the policy, and a token can be tried before an agent does."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import OKPKey

from tests.actors.cli.conftest import Made
from tests.actors.cli.shell import Ended, helm

RESOURCE, ISSUER = "https://gateway.example.com/mcp", "https://login.example.com"


@pytest.fixture(scope="module")
def key() -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"kid": "one"})


def put(made: Made, tmp_path: Path, key: OKPKey, *more: str, private: bool = False) -> Ended:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [key.as_dict(private=private)]}, indent=1))
    words = ("--resource", RESOURCE, "--issuer", ISSUER, "--jwks", str(file), "--algorithm", "Ed25519")
    return helm("mcp", "auth-profile", "put", *words, *more, *made.option)


def listed(made: Made) -> Any:
    return helm("mcp", "auth-profile", "list", "--json", *made.option).json()


def test_a_profile_is_put_listed_and_replaced(made: Made, tmp_path: Path, key: OKPKey) -> None:
    assert listed(made) == []
    assert put(made, tmp_path, key).code == 0
    [first] = listed(made)
    assert put(made, tmp_path, key, "--required-scope", "tools").code == 0
    [second] = listed(made)
    policy = (made.path / "policy.toml").read_text()
    assert (first["required_scopes"], second["required_scopes"]) == ([], ["tools"])
    assert first["profile_hash"] != second["profile_hash"]
    assert policy.count("[oauth]") == 1
    assert "[tools" in policy


def test_a_private_key_is_never_put(made: Made, tmp_path: Path, key: OKPKey) -> None:
    before = (made.path / "policy.toml").read_bytes()
    ended = put(made, tmp_path, key, private=True)
    assert ended.code == 1
    assert "a private key" in ended.err
    assert (made.path / "policy.toml").read_bytes() == before


@pytest.mark.parametrize("content", ["no JSON", "[" * 100_000, '{"keys": []}', "x" * 70_000])
def test_what_is_no_set_of_keys_is_never_put(made: Made, tmp_path: Path, content: str) -> None:
    file = tmp_path / "odd.json"
    file.write_text(content)
    words = ("--resource", RESOURCE, "--issuer", ISSUER, "--jwks", str(file))
    assert helm("mcp", "auth-profile", "put", *words, *made.option).code == 1
    assert listed(made) == []


def test_a_token_can_be_tried(made: Made, tmp_path: Path, key: OKPKey) -> None:
    assert helm("mcp", "auth-profile", "verify", *made.option).code == 1
    assert put(made, tmp_path, key).code == 0
    claims = {"iss": ISSUER, "aud": RESOURCE, "sub": "alice", "exp": int(time.time()) + 600, "scope": "b a"}
    file = tmp_path / "token"

    def verify(**changes: Any) -> Ended:
        header = {"alg": "Ed25519", "kid": "one", "typ": "at+jwt"}
        file.write_text(jwt.encode(header, claims | changes, key, algorithms=["Ed25519"]) + "\n")
        return helm("mcp", "auth-profile", "verify", "--token-file", str(file), *made.option)

    assert verify().json() == {"principal": "oidc:mcp:alice", "scopes": ["a", "b"], "tenant": "default"}
    assert verify(aud="https://other.example.com").code == 1
    file.write_text("no token")
    assert helm("mcp", "auth-profile", "verify", "--token-file", str(file), *made.option).code == 1
    assert helm("mcp", "auth-profile", "verify", *made.option).code == 0
