"""Issuers and trust domains of a bundle: what cannot be one is refused where it is written."""

from __future__ import annotations

import base64
import copy
import json
from typing import Any

import pytest

from helm.contracts.errors import Invalid
from helm.guardian.bundle import compile_document
from helm.guardian.identity import NO_IDENTITY, is_from_elsewhere, source_of, trust_domain_of
from tests.helm.guardian.bundles import FULL

KEY = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", "kid": "one"}
EC = {
    "kty": "EC",
    "crv": "P-256",
    "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
    "y": "x_FEzRu9m36HLN_tue659LNpXW6p",
}
ROOT = {**EC, "use": "x509-svid", "x5c": [base64.b64encode(b"DER").decode()]}
SVID_KEY = {**EC, "use": "jwt-svid", "kid": "svid"}

ISSUER: dict[str, Any] = {
    "issuer": "https://login.corp.example",
    "audiences": ["https://helm.corp.example"],
    "algorithms": ["Ed25519"],
    "jwks": json.dumps({"keys": [KEY]}),
}
DOMAIN: dict[str, Any] = {"audiences": ["helm"], "bundle": json.dumps({"keys": [ROOT, SVID_KEY]})}


def without(table: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in table.items() if value is not None}


def compiled(identity: dict[str, Any], **more: Any) -> Any:
    return compile_document(copy.deepcopy(FULL) | {"identity": identity} | more)


def issuer(name: str = "corp", **changes: Any) -> dict[str, Any]:
    return {"oidc": {name: without(ISSUER | changes)}}


def domain(name: str = "prod.example", **changes: Any) -> dict[str, Any]:
    return {"spiffe": {name: without(DOMAIN | changes)}}


def keys(*found: Any) -> str:
    return json.dumps({"keys": list(found)})


PADDED = {"kty": "RSA", "kid": "r", "e": "AQAB", "n": "A" * 300 + "_" * 100}
TENANTS: dict[str, Any] = {"tenant_claim": "org", "tenants": {"org-1": "acme"}}

NO_ISSUERS: dict[str, dict[str, Any]] = {
    "a name with a colon": issuer("a:b"),
    "a name in capitals": issuer("Corp"),
    "a name that is too long": issuer("a" * 33),
    "no issuer": issuer(issuer=None),
    "no audience": issuer(audiences=[]),
    "no word of audiences": issuer(audiences=None),
    "no algorithm": issuer(algorithms=[]),
    "none": issuer(algorithms=["none"]),
    "a secret's algorithm": issuer(algorithms=["HS256"]),
    "no keys": issuer(jwks=None),
    "an empty set": issuer(jwks=keys()),
    "a private key": issuer(jwks=keys(KEY | {"d": "secret"})),
    "a secret": issuer(jwks=keys({"kty": "oct", "k": "AA", "kid": "one"})),
    "a short RSA key that looks long": issuer(jwks=keys(PADDED)),
    "two keys of one name": issuer(jwks=keys(KEY, KEY)),
    "a key without a name": issuer(jwks=keys(without(KEY | {"kid": None}))),
    "a tenant with a slash": issuer(tenant="a/b"),
    "a tenant and a claim": issuer(tenant="acme", **TENANTS),
    "a claim and no tenants": issuer(tenant_claim="org"),
    "a claim whose values are no tenants": issuer(tenant_claim="org", tenants={"org-1": "a/b"}),
    "tenants and no claim": issuer(tenants={"org-1": "acme"}),
    "more values than anybody reads": issuer(tenant_claim="org", tenants={f"o{n}": "acme" for n in range(257)}),
    "a type that is none": issuer(types=["dpop+jwt"]),
    "no type": issuer(types=[]),
    "a clock that is an hour wrong": issuer(leeway_s=3600),
    "tokens that last for ever": issuer(max_age_s=8 * 86_400),
    "a requirement that is no text": issuer(require={"email_verified": True}),
    "a misspelt member": issuer(audience=["x"]),
    "one issuer under two names": {"oidc": {"one": ISSUER, "two": ISSUER}},
    "more issuers than anybody reads": {
        "oidc": {f"i{n}": ISSUER | {"issuer": f"https://{n}.example"} for n in range(33)}
    },
    "another kind": {"saml": {}},
}

NO_DOMAINS: dict[str, dict[str, Any]] = {
    "a name in capitals": domain("Prod.example"),
    "a name with a slash": domain("prod.example/a"),
    "a name with a port": domain("prod.example:8443"),
    "no bundle": domain(bundle=None),
    "a key for nothing": domain(bundle=keys(EC | {"kid": "one"})),
    "a key for another use": domain(bundle=keys(SVID_KEY | {"use": "wit-svid"})),
    "a key without a name": domain(bundle=keys(without(SVID_KEY | {"kid": None}))),
    "a private key": domain(bundle=keys(SVID_KEY | {"d": "secret"})),
    "a root without a certificate": domain(bundle=keys(without(ROOT | {"x5c": None}))),
    "a root of two certificates": domain(bundle=keys(ROOT | {"x5c": ["AAAA", "AAAA"]})),
    "a root that is no base64": domain(bundle=keys(ROOT | {"x5c": ["-----BEGIN"]})),
    "no audience for tokens": domain(audiences=None),
    "an audience and no tokens": domain(bundle=keys(ROOT)),
    "a tenant with a slash": domain(tenant="a/b"),
    "not a key": domain(bundle=keys("x")),
}


@pytest.mark.parametrize("case", NO_ISSUERS)
def test_what_is_no_issuer_is_refused_where_it_is_written(case: str) -> None:
    with pytest.raises(Invalid) as refused:
        compiled(NO_ISSUERS[case])
    assert refused.value.where.startswith("identity")


@pytest.mark.parametrize("case", NO_DOMAINS)
def test_what_is_no_trust_domain_is_refused_where_it_is_written(case: str) -> None:
    with pytest.raises(Invalid) as refused:
        compiled(NO_DOMAINS[case])
    assert refused.value.where.startswith("identity.spiffe")


def test_a_bundle_that_says_nothing_takes_keys_of_our_own_alone() -> None:
    assert compile_document(copy.deepcopy(FULL)).identity is NO_IDENTITY


def test_what_is_written_is_what_counts() -> None:
    found = compiled(issuer(require={"hd": "corp.example"}, types=["at+jwt"], **TENANTS) | domain()).identity
    one, other = found.issuers["https://login.corp.example"], found.domains["prod.example"]
    assert one.require == (("hd", "corp.example"),)
    assert (one.tenancy.claim, dict(one.tenancy.tenants)) == ("org", {"org-1": "acme"})
    assert one.types == ("at+jwt",)
    assert (other.roots, other.audiences, other.tenant) == ((b"DER",), ("helm",), "default")
    assert b"x509" not in other.jwks
    assert found.takes_certificates


def test_a_trust_domain_without_tokens_needs_no_audience() -> None:
    found = compiled(domain(bundle=keys(ROOT), audiences=None)).identity.domains["prod.example"]
    assert found.audiences == ()


# -- with the authorization profile ------------------------------------------------------------------------------------

RESOURCE = "https://gateway.example.com/mcp"
PROFILE: dict[str, Any] = {"resource": RESOURCE, "authorization_servers": [ISSUER["issuer"]]}
OWN: dict[str, Any] = {"algorithms": ["Ed25519"], "jwks": keys(KEY)}


def test_an_issuer_for_every_door_serves_the_mcp_door_too() -> None:
    policy = compiled(issuer(audiences=["helm", RESOURCE]), oauth=PROFILE)
    assert policy.oauth.issuer is None


@pytest.mark.parametrize(
    ("identity", "oauth"),
    [
        (issuer(), PROFILE),
        (issuer(audiences=[RESOURCE]), PROFILE | OWN),
        (issuer(), PROFILE | OWN | {"authorization_servers": ["https://a.example", "https://b.example"]}),
        (issuer("mcp"), PROFILE | OWN | {"authorization_servers": ["https://a.example"]}),
        (issuer(), PROFILE | OWN | {"authorization_servers": ["https://a.example"], "profile_id": "a:b"}),
        (issuer(), PROFILE | OWN | {"authorization_servers": ["https://a.example"], "tenant": "a/b"}),
    ],
    ids=["not for this resource", "two sets of keys", "one set for two", "one name for two", "no name", "no tenant"],
)
def test_no_issuer_speaks_for_another_at_the_mcp_door(identity: dict[str, Any], oauth: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as refused:
        compiled(identity, oauth=oauth)
    assert refused.value.where.startswith("oauth")


# -- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "spiffe_id",
    [
        "spiffe://prod.example",
        "spiffe://prod.example/",
        "spiffe://prod.example/a/",
        "spiffe://prod.example//a",
        "spiffe://prod.example/./a",
        "spiffe://prod.example/a/..",
        "spiffe://prod.example/a b",
        "spiffe://prod.example/a?b",
        "spiffe://prod.example/a#b",
        "spiffe://prod.example/%61",
        "spiffe://prod.example/a\n",
        "spiffe://PROD.example/a",
        "spiffe:///a",
        "SPIFFE://prod.example/a",
        "https://prod.example/a",
        "",
    ],
)
def test_what_is_no_workloads_spiffe_id_has_no_trust_domain(spiffe_id: str) -> None:
    assert trust_domain_of(spiffe_id) == ""


@pytest.mark.parametrize("path", ["/a", "/ns/x/sa/y", "/a.b", "/...", "/..a", "/-_A9"])
def test_a_workloads_spiffe_id_has_one(path: str) -> None:
    assert trust_domain_of(f"spiffe://prod.example{path}") == "prod.example"


def test_a_name_says_where_it_comes_from() -> None:
    assert source_of("oidc:corp:a:b") == "oidc:corp"
    assert source_of("spiffe://prod.example/a") == "spiffe://prod.example"
    assert source_of("agent") == source_of("oidc") == source_of("spiffe:x") == ""
    assert is_from_elsewhere("OIDC:corp:alice") and is_from_elsewhere("spiffe://x") and not is_from_elsewhere("oidcorp")
