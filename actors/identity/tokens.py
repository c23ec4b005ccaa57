"""Signed tokens: what one says, once a pinned key is known to have said it, to us and now (RFC 7519, RFC 8725)."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any, Final

import attrs
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import Key, import_key

from actors.identity.holder import Unbelieved
from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import parse, reread

MAX_TOKEN: Final = 8192
"""Characters of a token: parsing it is what anyone may ask for without one (T4)."""

MAX_DEPTH: Final = 16

TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
"""A JWS in its compact form (RFC 7515 section 7.1)."""

BRINGS_A_KEY: Final = frozenset({"jku", "jwk", "x5c", "x5u"})
"""Members of a header with which a token would say whose key is to believe it (RFC 8725 section 3.10)."""

UNREAD: Final = frozenset({"b64", "crit", "cty", "enc", "zip"})
"""Members of a header that change what a token means; none of it is understood here (RFC 7515 section 4.1.11)."""

FOR_OTHERS: Final = frozenset({"alg", "ext", "key_ops", "use"})
"""Members of a key that were looked at when it was read; the library would refuse the words that SPIFFE uses."""


@attrs.frozen
class PinnedKey:
    """A key of the policy."""

    key: Key = attrs.field(repr=False)
    algorithm: str
    """The only one that it may be used with, "" where its issuer does not say."""


Keys = Mapping[str, PinnedKey]
"""By the names that tokens call them."""


@attrs.frozen
class Token:
    """A token taken apart. Nothing that it says is believed yet."""

    text: str = attrs.field(repr=False)
    header: Mapping[str, JSONValue] = attrs.field(repr=False)
    claims: Mapping[str, JSONValue] = attrs.field(repr=False)


def token_of(authorization: str) -> str:
    """Return the token of an Authorization header (RFC 6750 section 2.1), "" where there is none."""
    scheme, _, token = authorization.partition(" ")
    is_token = scheme.lower() == "bearer" and len(token) <= MAX_TOKEN and TOKEN.fullmatch(token)
    return token if is_token else ""


def import_keys(jwks: bytes, where: str) -> Keys:
    """Return the keys that the policy pins. Raises Invalid for one that is none, or signs no tokens."""
    keys: dict[str, PinnedKey] = {}
    for written in reread(jwks)["keys"]:
        name, use = written["kid"], written.get("use", "sig")
        if use not in ("sig", "jwt-svid"):
            raise Invalid(f"the key {name!r} is for {use!r}", where, "leave out what signs no tokens")
        try:
            key = import_key({member: said for member, said in written.items() if member not in FOR_OTHERS})
            key.public_key  # noqa: B018 - a point that is not on its curve is found out here
        except (JoseError, ValueError, TypeError, ArithmeticError, LookupError, NotImplementedError) as problem:
            raise Invalid(f"the key {name!r} cannot be used: {problem}", where) from problem
        algorithm = written.get("alg", "")
        keys[name] = PinnedKey(key, algorithm if type(algorithm) is str else "none")
    return keys


def take_apart(text: str) -> Token:
    """Return what a token says, every name once. Raises Unbelieved."""
    header, claims, _ = text.split(".")
    return Token(text, read_part(header, "header"), read_part(claims, "claims"))


def read_part(part: str, what: str) -> dict[str, JSONValue]:
    try:
        found = parse(urlsafe_b64decode(part + "=" * (-len(part) % 4)), max_bytes=MAX_TOKEN, max_depth=MAX_DEPTH)
    except Malformed as problem:
        raise Unbelieved(f"its {what} cannot be read in one way: {problem.problem[:100]}") from problem
    except ValueError as problem:
        raise Unbelieved(f"its {what} is not base64url") from problem
    if type(found) is not dict:
        raise Unbelieved(f"its {what} is no object")
    return found


def check_signature(token: Token, keys: Keys, algorithms: tuple[str, ...]) -> None:
    """Raise Unbelieved unless the pinned key that the token names has signed it."""
    # 1. The token may name its key, not bring one, and not ask to be read in another way.
    if BRINGS_A_KEY & token.header.keys():
        raise Unbelieved("it brings the key that is to believe it")
    if UNREAD & token.header.keys():
        raise Unbelieved("its header asks for what is not understood here")
    # 2. The policy says which algorithms count, not the token (RFC 8725 section 3.1).
    algorithm, name = token.header.get("alg"), token.header.get("kid")
    if type(algorithm) is not str or algorithm not in algorithms:
        raise Unbelieved("it is signed with an algorithm that the policy does not name")
    # 3. One key has that name, of this issuer's, and it is for that algorithm.
    pinned = keys.get(name) if type(name) is str else None
    if pinned is None:
        raise Unbelieved("it does not name a key that the policy pins for its issuer")
    if pinned.algorithm not in ("", algorithm):
        raise Unbelieved("its key is for another algorithm")
    # 4. The key has signed these very bytes.
    try:
        jws.deserialize_compact(token.text, pinned.key, algorithms=[algorithm])
    except (JoseError, ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as problem:
        raise Unbelieved("its signature does not verify") from problem


def check_audience(token: Token, audiences: tuple[str, ...]) -> None:
    """Raise Unbelieved for a token that is for others (RFC 7519 section 4.1.3)."""
    said = token.claims.get("aud")
    named: list[Any] = said if type(said) is list else [said]
    if not all(type(one) is str for one in named) or not {*named} & {*audiences}:
        raise Unbelieved("it is for another audience")


def check_times(token: Token, now_ms: int, leeway_s: int, max_age_s: int) -> int:
    """Return when a token ends. Raises Unbelieved for one that does not count now, or would for too long."""
    now_s, ends_s = now_ms / 1000, moment(token, "exp")
    if ends_s is None:
        raise Unbelieved("it has no end")
    if now_s >= ends_s + leeway_s:
        raise Unbelieved("it has expired")
    if ends_s > now_s + leeway_s + max_age_s:
        raise Unbelieved("it counts for longer than the policy lets any token")
    for name in ("nbf", "iat"):
        begins_s = moment(token, name)
        if begins_s is not None and begins_s > now_s + leeway_s:
            raise Unbelieved("it does not count yet")
    return int((ends_s + leeway_s) * 1000)


def moment(token: Token, name: str) -> float | None:
    """Return a moment that a token names, None for one that it does not. Raises Unbelieved."""
    if name not in token.claims:
        return None
    said = token.claims[name]
    if type(said) not in (int, float):
        raise Unbelieved(f"its {name} is no moment")
    return float(said)


def check_alone(token: Token) -> None:
    """Raise Unbelieved for a token of one who acts for another: who may do that, HELM's delegations say (RFC 8693)."""
    if "act" in token.claims:
        raise Unbelieved("its holder acts for another: ask for a token of its own, and for a delegation")


def bound_to(token: Token) -> str:
    """Return the certificate that a token is bound to, "" for none. Raises Unbelieved for another kind of proof."""
    if "cnf" not in token.claims:
        return ""
    proof = token.claims["cnf"]
    if type(proof) is not dict or proof.keys() != {"x5t#S256"} or type(proof["x5t#S256"]) is not str:
        raise Unbelieved("it must come with a proof that is not understood here: only x5t#S256 is")
    bound: str = proof["x5t#S256"]
    return bound
