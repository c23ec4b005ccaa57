"""Reads sets of public keys (RFC 7517): what an issuer signs tokens with."""

from __future__ import annotations

from base64 import urlsafe_b64decode
from typing import Final

from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import canonical, parse
from helm.guardian.bundle_table import Table

MAX_KEYS: Final = 32
MAX_JWKS_BYTES: Final = 64 * 1024
"""Of one key set (T4)."""

SECRET: Final = frozenset({"d", "dp", "dq", "k", "oth", "p", "q", "qi"})
"""Members of a JWK that only its owner may have (RFC 7518 section 6)."""

MADE_OF: Final = {"EC": ("crv", "x", "y"), "OKP": ("crv", "x"), "RSA": ("e", "n")}
"""What a public key of each type says of itself."""

MIN_RSA_BITS: Final = 2048
"""RFC 7518 section 3.3."""

HINT: Final = 'a JSON text, {"keys": [...]}'


def read_jwks(table: Table) -> bytes:
    """Return the public keys, in canonical bytes. Raises Invalid."""
    where = table.at("jwks")
    return check_keys(read_set(table, "jwks"), where)


def read_set(table: Table, member: str) -> list[JSONValue]:
    """Return the keys of a set as they stand. Raises Invalid."""
    where = table.at(member)
    try:
        found = parse(table.source(member).encode(), max_bytes=MAX_JWKS_BYTES)
    except Malformed as problem:
        raise Invalid(str(problem), where, f"{HINT}, as the issuer publishes it") from problem
    if type(found) is not dict or type(found.get("keys")) is not list or not 0 < len(found["keys"]) <= MAX_KEYS:
        raise Invalid(f"not a set of 1 to {MAX_KEYS} keys", where, HINT)
    keys: list[JSONValue] = found["keys"]
    return keys


def check_keys(keys: list[JSONValue], where: str) -> bytes:
    """Return a set of public keys in canonical bytes, each with a name of its own. Raises Invalid."""
    names: set[str] = set()
    for number, key in enumerate(keys):
        name = check_key(key, f"{where}.keys[{number}]")
        if name in names:
            raise Invalid(f"two keys are called {name!r}", where, "a token names its key: leave one out")
        names.add(name)
    return canonical({"keys": keys})


def check_key(key: JSONValue, where: str) -> str:
    """Return a public key's name. Raises Invalid, above all for a private key."""
    if type(key) is not dict or type(key.get("kid")) is not str or key.get("kty") not in MADE_OF:
        raise Invalid(f"not a key with a kid, of type {', '.join(MADE_OF)}", where)
    if SECRET & key.keys():
        raise Invalid("a private key", where, "a bundle is read by everyone: give the public part, and make a new key")
    for member in MADE_OF[key["kty"]]:
        if type(key.get(member)) is not str:
            raise Invalid(f"the key has no {member}", where)
    if key["kty"] == "RSA" and bits_of(key["n"]) < MIN_RSA_BITS:
        raise Invalid(f"an RSA key of less than {MIN_RSA_BITS} bits", where)
    name: str = key["kid"]
    return name


def bits_of(modulus: str) -> int:
    """Return how long a modulus is, 0 for what is none. Leading zeros make a short one look longer."""
    try:
        return int.from_bytes(urlsafe_b64decode(modulus + "=" * (-len(modulus) % 4)), "big").bit_length()
    except ValueError:
        return 0
