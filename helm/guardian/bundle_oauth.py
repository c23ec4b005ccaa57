"""Reads the authorization profile of a bundle: issuers, keys and scopes."""

from __future__ import annotations

import re
from typing import Final

from helm.contracts.errors import Invalid, Malformed, Refused
from helm.contracts.form import JSONValue
from helm.crypto.canonical import canonical, parse
from helm.guardian.bundle_table import Table
from helm.guardian.destination import split_url
from helm.guardian.oauth import ALGORITHMS, OAuthProfile

MAX_KEYS: Final = 32
MAX_JWKS_BYTES: Final = 64 * 1024
"""Of one key set (T4)."""

SECRET: Final = frozenset({"d", "dp", "dq", "k", "oth", "p", "q", "qi"})
"""Members of a JWK that only its owner may have (RFC 7518 section 6)."""

MADE_OF: Final = {"EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "RSA": ("e", "n")}
"""What a public key of each type says of itself."""

MIN_RSA: Final = 342
"""Characters of a modulus of 2,048 bits (RFC 7518 section 3.3)."""

SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,128}")
"""RFC 6749 section 3.3."""


def read_oauth(bundle: Table) -> OAuthProfile | None:
    """Return the profile, None where the bundle has none: then no token opens anything. Raises Invalid."""
    if not bundle.has("oauth"):
        return None
    table = bundle.table("oauth")
    algorithms = table.texts("algorithms")
    unknown = sorted({*algorithms} - ALGORITHMS)
    if unknown or not algorithms:
        what = f"{unknown[0]} signs no token here" if unknown else "no algorithm"
        raise Invalid(what, table.at("algorithms"), f"write some of {', '.join(sorted(ALGORITHMS))}")
    servers = table.texts("authorization_servers")
    if not servers:
        raise Invalid("no issuer", table.at("authorization_servers"), "name each as its tokens name it")
    for number, server in enumerate(servers):
        check_url(server, f"{table.at('authorization_servers')}[{number}]")
    profile = OAuthProfile(
        profile_id=table.name("profile_id", "mcp"),
        resource=table.name("resource"),
        authorization_servers=servers,
        algorithms=algorithms,
        jwks=read_jwks(table),
        tenant=table.name("tenant", "default"),
        principal_claim=table.name("principal_claim", "sub"),
        required_scopes=read_scopes(table, "required_scopes"),
    )
    check_url(profile.resource, table.at("resource"))
    table.finish()
    return profile


def read_scopes(table: Table, member: str) -> tuple[str, ...]:
    """Return scopes. Raises Invalid."""
    scopes = table.texts(member, ())
    for number, scope in enumerate(scopes):
        if SCOPE.fullmatch(scope) is None:
            where = f"{table.at(member)}[{number}]"
            raise Invalid("not a scope", where, "visible ASCII, no quotes or backslashes (RFC 6749 section 3.3)")
    return scopes


def check_url(url: str, where: str) -> None:
    """Raise Invalid for what is no address of a web server (RFC 8414, RFC 9728: no query, no fragment)."""
    try:
        destination, rest = split_url(url)
    except Refused as refused:
        raise Invalid(refused.reason, where) from refused
    if destination.scheme not in ("http", "https") or "?" in rest or "#" in rest:
        raise Invalid("not the address of a web server", where, "write https://host/path, no query, no fragment")


def read_jwks(table: Table) -> bytes:
    """Return the public keys, in canonical bytes. Raises Invalid."""
    where = table.at("jwks")
    try:
        found = parse(table.source("jwks").encode(), max_bytes=MAX_JWKS_BYTES)
    except Malformed as problem:
        raise Invalid(str(problem), where, 'a JSON text, {"keys": [...]}, as the issuer publishes it') from problem
    if type(found) is not dict or type(found.get("keys")) is not list or not 0 < len(found["keys"]) <= MAX_KEYS:
        raise Invalid(f"not a set of 1 to {MAX_KEYS} keys", where, 'a JSON text, {"keys": [...]}')
    names: set[str] = set()
    for number, key in enumerate(found["keys"]):
        name = check_key(key, f"{where}.keys[{number}]")
        if name in names:
            raise Invalid(f"two keys are called {name!r}", where, "a token names its key: leave one out")
        names.add(name)
    return canonical({"keys": found["keys"]})


def check_key(key: JSONValue, where: str) -> str:
    """Return a public key's name. Raises Invalid, above all for a private key."""
    if type(key) is not dict or type(key.get("kid")) is not str or key.get("kty") not in MADE_OF:
        raise Invalid(f"not a key with a kid, of type {', '.join(MADE_OF)}", where)
    if SECRET & key.keys():
        raise Invalid("a private key", where, "a bundle is read by everyone: give the public part, and make a new key")
    for member in MADE_OF[key["kty"]]:
        if type(key.get(member)) is not str:
            raise Invalid(f"the key has no {member}", where)
    if key["kty"] == "RSA" and len(key["n"]) < MIN_RSA:
        raise Invalid("an RSA key of less than 2048 bits", where)
    name: str = key["kid"]
    return name
