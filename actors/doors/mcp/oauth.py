"""Access tokens at the MCP door: how a client learns whose are taken, and what they must carry (RFC 9728)."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from actors.doors.problem import Problem
from helm.contracts.form import JSONValue
from helm.crypto.canonical import record_bytes
from helm.guardian.oauth import OAuthProfile, supported
from helm.guardian.policy import Policy

METADATA: Final = "/.well-known/oauth-protected-resource/mcp"
"""Where a client learns whose tokens are taken (RFC 9728 section 3.1)."""


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
