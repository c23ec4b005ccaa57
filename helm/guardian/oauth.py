"""The authorization profile: whose tokens open the MCP door, and what a token must carry for which tool (RFC 9728).

It stands in the policy, keys included: whose word counts is signed like every other rule, and nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

import attrs

from helm.contracts.form import JSONValue
from helm.crypto import domains
from helm.crypto.canonical import record_bytes
from helm.crypto.hashing import hash_in

ALGORITHMS: Final = frozenset(
    {"ES256", "ES384", "ES512", "Ed25519", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"}
)
"""What tokens may be signed with (RFC 7518, RFC 9864): nothing whose secret a verifier would have to hold."""


@attrs.frozen(kw_only=True)
class OAuthProfile:
    """Whose access tokens are taken. `jwks` are the canonical bytes of the public keys (RFC 7517)."""

    profile_id: str
    resource: str
    """What a token must be for: its audience, and the address of the door (RFC 8707)."""
    authorization_servers: tuple[str, ...]
    """The issuers, each exactly as its tokens name it."""
    algorithms: tuple[str, ...]
    jwks: bytes = attrs.field(repr=False)
    tenant: str
    """Whose principals they are."""
    principal_claim: str
    required_scopes: tuple[str, ...]
    """What every token must carry, whatever it is used for."""


class Carrier(Protocol):
    """Whoever, or whatever, came with an access token."""

    @property
    def oauth_resource(self) -> str:
        """What the token is for, "" without one."""
        ...

    @property
    def oauth_scopes(self) -> tuple[str, ...]:
        """What the token carries."""
        ...


def lacking(profile: OAuthProfile | None, needed: frozenset[str], caller: Carrier) -> list[str]:
    """Return the scopes that a caller lacks, in order: the tool's own, and, for one with a token, the profile's.

    A caller without a token has no scopes. A token of another profile than the one in force has none that count.
    """
    if profile is None or caller.oauth_resource != profile.resource:
        return sorted(needed)
    return sorted((needed | {*profile.required_scopes}) - {*caller.oauth_scopes})


def profile_body(profile: OAuthProfile, scopes: Mapping[str, frozenset[str]], versions: tuple[str, ...]) -> JSONValue:
    """Return the profile as people and programs read it; `scopes` are those that each tool needs."""
    by_tool: dict[str, JSONValue] = {tool: sorted(needed) for tool, needed in sorted(scopes.items()) if needed}
    body: dict[str, JSONValue] = {
        "algorithms": sorted(profile.algorithms),
        "authorization_servers": list(profile.authorization_servers),
        "jwks_hash": hash_in(domains.OAUTH_KEYS, profile.jwks),
        "principal_claim": profile.principal_claim,
        "profile_id": profile.profile_id,
        "protocol_versions": list(versions),
        "required_scopes": sorted(profile.required_scopes),
        "resource": profile.resource,
        "scopes_supported": supported(profile, scopes),
        "tenant": profile.tenant,
        "tool_scope_hash": hash_in(domains.OAUTH_SCOPES, record_bytes(by_tool)),
        "tool_scopes": by_tool,
    }
    return {"profile_hash": hash_in(domains.OAUTH_PROFILE, record_bytes(body)), **body}


def supported(profile: OAuthProfile, scopes: Mapping[str, frozenset[str]]) -> list[str]:
    """Return every scope that anything here asks for."""
    return sorted({*profile.required_scopes}.union(*scopes.values()))


NO_SCOPES: Final[Mapping[str, frozenset[str]]] = MappingProxyType({})
