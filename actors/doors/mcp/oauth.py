"""Access tokens at the MCP door: who a token says is calling, and whether the policy believes it (RFC 9068)."""

from __future__ import annotations

import json
import re
from typing import Any, Final
from urllib.parse import urlsplit

import attrs
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from joserfc.jwt import JWTClaimsRegistry

from actors.bearer import PRINCIPAL, BearerKey, KeyClass
from actors.doors.problem import Problem
from helm.contracts.errors import Malformed
from helm.contracts.form import JSONValue
from helm.crypto.canonical import canonical, members, parse, record_bytes
from helm.crypto.hashing import sha256
from helm.guardian.bundle_oauth import SCOPE
from helm.guardian.oauth import OAuthProfile, supported
from helm.guardian.policy import Policy

METADATA: Final = "/.well-known/oauth-protected-resource/mcp"
"""Where a client learns whose tokens are taken (RFC 9728 section 3.1)."""

MAX_TOKEN: Final = 8192
"""Characters of a token: parsing it is what anyone may ask for without one (T4)."""

MAX_SCOPES: Final = 128

LEEWAY_S: Final = 60
"""How far the issuer's clock may be from the kernel's."""

TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
"""A JWS in its compact form (RFC 7515 section 7.1)."""

TYPES: Final = frozenset({"", "at+jwt", "application/at+jwt", "jwt"})
"""What a token may say that it is: an id token or a DPoP proof is none."""


@attrs.frozen(kw_only=True)
class TokenHolder(BearerKey):
    """Who holds an access token: known by issuer and subject, as long as its tokens last."""

    resource: str
    scopes: tuple[str, ...]

    @property
    def oauth_resource(self) -> str:
        """What the token is for."""
        return self.resource

    @property
    def oauth_scopes(self) -> tuple[str, ...]:
        """What the token carries, sorted."""
        return self.scopes


class OneReading(json.JSONDecoder):
    """Reads claims of which none stands twice: readers differ on which of two counts (T2)."""

    def __init__(self) -> None:
        super().__init__(object_pairs_hook=members)


def token_of(authorization: str) -> str:
    """Return the token of an Authorization header, "" where it carries none that could be one."""
    scheme, _, token = authorization.partition(" ")
    is_token = scheme.lower() == "bearer" and len(token) <= MAX_TOKEN and TOKEN.fullmatch(token)
    return token if is_token else ""


def holder_of(token: str, profile: OAuthProfile, now_ms: int) -> TokenHolder:
    """Return who holds a token. Raises Problem 401 for one that does not count, and says why."""
    claims = claims_of(token, profile, now_ms)
    principal = claims.get(profile.principal_claim)
    if type(principal) is not str or PRINCIPAL.fullmatch(principal) is None:
        raise refused(profile, f"its {profile.principal_claim} is no principal of 1 to 256 visible ASCII characters")
    subject = record_bytes({"iss": claims["iss"], profile.principal_claim: principal})
    return TokenHolder(
        credential_hash=sha256(subject),
        created_at_ms=now_ms,
        key_class=KeyClass.TENANT,
        principal=principal,
        resource=profile.resource,
        scopes=scopes_of(claims, profile),
        tenant=profile.tenant,
    )


def claims_of(token: str, profile: OAuthProfile, now_ms: int) -> dict[str, Any]:
    """Return what a token says, once it is known that an issuer of the profile says it, of us, now. Raises Problem."""
    try:
        keys = KeySet.import_key_set(parse(profile.jwks))
        decoded = jwt.decode(token, keys, algorithms=list(profile.algorithms), decoder_cls=OneReading)
        check_header(decoded.header, profile)
        JWTClaimsRegistry(
            now=now_ms // 1000,
            leeway=LEEWAY_S,
            iss={"essential": True, "values": list(profile.authorization_servers)},
            aud={"essential": True, "value": profile.resource},
            exp={"essential": True},
        ).validate(decoded.claims)
        canonical(decoded.claims)  # what two readers could read differently is not read at all
    except (JoseError, Malformed, ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as problem:
        raise refused(profile, str(problem) or type(problem).__name__) from problem
    claims: dict[str, Any] = decoded.claims
    return claims


def check_header(header: dict[str, Any], profile: OAuthProfile) -> None:
    """Raise Problem for a token that does not name its key, or says that it is something else."""
    if type(header.get("kid")) is not str:
        raise refused(profile, "it does not name its key")
    kind = header.get("typ", "")
    if type(kind) is not str or kind.lower() not in TYPES:
        raise refused(profile, "it is no access token")


def scopes_of(claims: dict[str, Any], profile: OAuthProfile) -> tuple[str, ...]:
    """Return the scopes that a token carries, sorted (RFC 8693 section 4.2). Raises Problem."""
    said = claims.get("scope", claims.get("scp", ""))
    words = said.split(" ") if type(said) is str else said
    if type(words) is not list or len(words) > MAX_SCOPES or not all(type(word) is str for word in words):
        raise refused(profile, f"its scope is no text of at most {MAX_SCOPES} words")
    scopes = {word for word in words if word}
    if not all(SCOPE.fullmatch(scope) for scope in scopes):
        raise refused(profile, "its scope holds what is none")
    return tuple(sorted(scopes))


def refused(profile: OAuthProfile, why: str) -> Problem:
    """Return the refusal of a token."""
    detail = f"the access token does not count: {why[:200]}"
    return Problem(
        status=401, detail=detail, place="authorization", headers=(challenge(profile, error="invalid_token"),)
    )


def challenge(profile: OAuthProfile, *, error: str = "", scopes: tuple[str, ...] = ()) -> tuple[str, str]:
    """Return the header that tells a client where tokens come from, and which it needs (RFC 9728 section 5.1)."""
    parts = [f'Bearer realm="helm", resource_metadata="{metadata_url(profile)}"']
    if error:
        parts.append(f'error="{error}"')
    wanted = scopes or profile.required_scopes
    if wanted:
        parts.append(f'scope="{" ".join(sorted(wanted))}"')
    return ("www-authenticate", ", ".join(parts))


def metadata_url(profile: OAuthProfile) -> str:
    """Return where the profile's metadata stand: the well-known part goes before the resource's own path."""
    parts = urlsplit(profile.resource)
    return f"{parts.scheme}://{parts.netloc}{METADATA}"


def metadata(policy: Policy) -> bytes:
    """Return the protected resource metadata (RFC 9728 section 2). Raises Problem where no token is taken."""
    profile = policy.oauth
    if profile is None:
        raise Problem(status=404, detail="no access token opens this door: it takes keys of HELM's own")
    body: dict[str, JSONValue] = {
        "authorization_servers": list(profile.authorization_servers),
        "bearer_methods_supported": ["header"],
        "resource": profile.resource,
        "resource_name": "HELM",
        "scopes_supported": supported(profile, {name: rule.scopes for name, rule in policy.tools.items()}),
    }
    return record_bytes(body)
