"""The authorization profile of a bundle: what cannot be a profile is refused where it is written."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from helm.contracts.call import CallContext
from helm.contracts.errors import Invalid
from helm.guardian.bundle import compile_document
from helm.guardian.oauth import NO_SCOPES, lacking, profile_body
from tests.helm.guardian.bundles import FULL

KEY = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "one"}
OAUTH: dict[str, Any] = {
    "resource": "https://gateway.example.com/mcp",
    "authorization_servers": ["https://login.example.com"],
    "algorithms": ["Ed25519"],
    "jwks": json.dumps({"keys": [KEY]}),
    "required_scopes": ["tools"],
}


def compiled(**changes: Any) -> Any:
    oauth = {name: value for name, value in (OAUTH | changes).items() if value is not None}
    return compile_document(copy.deepcopy(FULL) | {"oauth": oauth})


def keys(*found: Any) -> str:
    return json.dumps({"keys": list(found)})


@pytest.mark.parametrize(
    "changes",
    [
        {"resource": None},
        {"resource": "ftp://gateway.example.com/mcp"},
        {"resource": "https://gateway.example.com/mcp?x=1"},
        {"resource": "https://user@gateway.example.com/mcp"},
        {"authorization_servers": []},
        {"authorization_servers": ["login"]},
        {"algorithms": []},
        {"algorithms": ["none"]},
        {"algorithms": ["HS256"]},
        {"algorithms": ["EdDSA"]},
        {"required_scopes": ['a"b']},
        {"required_scopes": ["a", "a"]},
        {"jwks": None},
        {"jwks": "no JSON"},
        {"jwks": "[]"},
        {"jwks": keys()},
        {"jwks": keys(*[KEY | {"kid": str(n)} for n in range(33)])},
        {"jwks": keys(KEY, KEY)},
        {"jwks": keys(KEY | {"d": "secret"})},
        {"jwks": keys({"kty": "oct", "k": "secret", "kid": "one"})},
        {"jwks": keys({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "weak"})},
        {"jwks": keys({name: value for name, value in KEY.items() if name != "kid"})},
        {"jwks": keys({name: value for name, value in KEY.items() if name != "x"})},
        {"more": 1},
    ],
    ids=str,
)
def test_what_is_no_profile_is_refused_where_it_is_written(changes: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        compiled(**changes)
    assert refused.value.where.startswith("oauth")


def test_a_profile_is_named_by_all_that_it_says() -> None:
    body = profile_body(compiled().oauth, NO_SCOPES, ("2025-11-25",))
    hashes = {body["profile_hash"]}
    others: tuple[dict[str, Any], ...] = (
        {"resource": "https://gateway.example.com/mcp2"},
        {"jwks": keys(KEY | {"kid": "two"})},
        {"tenant": "other"},
        {"required_scopes": []},
    )
    for changes in others:
        hashes.add(profile_body(compiled(**changes).oauth, NO_SCOPES, ("2025-11-25",))["profile_hash"])
    hashes.add(profile_body(compiled().oauth, {"read": frozenset({"x"})}, ("2025-11-25",))["profile_hash"])
    assert len(hashes) == 6


@pytest.mark.parametrize(
    ("resource", "scopes", "missing"),
    [
        ("https://gateway.example.com/mcp", ("files", "tools"), []),
        ("https://gateway.example.com/mcp", ("files",), ["tools"]),
        ("https://gateway.example.com/mcp", (), ["files", "tools"]),
        ("https://other.example.com/mcp", ("files", "tools"), ["files"]),
        ("", (), ["files"]),
    ],
)
def test_what_a_caller_lacks(resource: str, scopes: tuple[str, ...], missing: list[str]) -> None:
    context = CallContext(oauth_resource=resource, oauth_scopes=scopes)
    assert lacking(compiled().oauth, frozenset({"files"}), context) == missing


def test_without_a_profile_no_scope_counts() -> None:
    context = CallContext(oauth_resource="https://gateway.example.com/mcp", oauth_scopes=("files",))
    assert lacking(None, frozenset({"files"}), context) == ["files"]
