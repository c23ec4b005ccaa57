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
from helm.guardian.identity import Issuer


@attrs.frozen(kw_only=True)
class OAuthProfile:
    """Whose access tokens are taken at the MCP door, and how far they must go."""

    profile_id: str
    resource: str
    """What a token must be for: its audience, and the address of the door (RFC 8707)."""
    authorization_servers: tuple[str, ...]
    """The issuers, each exactly as its tokens name it."""
    issuer: Issuer | None
    """The one whose tokens open no other door, None where each is declared for all of them."""
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
    own = profile.issuer
    by_tool: dict[str, JSONValue] = {tool: sorted(needed) for tool, needed in sorted(scopes.items()) if needed}
    body: dict[str, JSONValue] = {
        "algorithms": sorted(own.algorithms) if own is not None else [],
        "authorization_servers": list(profile.authorization_servers),
        "jwks_hash": hash_in(domains.OAUTH_KEYS, own.jwks if own is not None else b""),
        "principal_claim": own.principal_claim if own is not None else "",
        "profile_id": profile.profile_id,
        "protocol_versions": list(versions),
        "required_scopes": sorted(profile.required_scopes),
        "resource": profile.resource,
        "scopes_supported": supported(profile, scopes),
        "tenant": own.tenancy.tenant if own is not None else "",
        "tool_scope_hash": hash_in(domains.OAUTH_SCOPES, record_bytes(by_tool)),
        "tool_scopes": by_tool,
    }
    return {"profile_hash": hash_in(domains.OAUTH_PROFILE, record_bytes(body)), **body}


def supported(profile: OAuthProfile, scopes: Mapping[str, frozenset[str]]) -> list[str]:
    """Return every scope that anything here asks for."""
    return sorted({*profile.required_scopes}.union(*scopes.values()))


NO_SCOPES: Final[Mapping[str, frozenset[str]]] = MappingProxyType({})
