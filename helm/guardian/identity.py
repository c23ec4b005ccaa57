"""Whose word counts on who is calling: issuers of tokens and SPIFFE trust domains, each under a name of its own.

They stand in the policy, keys included: whose word counts is signed like every other rule, and nothing is fetched. HELM
keeps no users and mints no tokens; it answers what an identity may do.

A principal whose name comes from elsewhere says from where: `oidc:ISSUER:SUBJECT`, or its SPIFFE id. No key of HELM's
own names such a principal, so that nobody is called what another issuer's caller is called (T9).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

OIDC: Final = "oidc:"
SPIFFE: Final = "spiffe://"
ELSEWHERE: Final = (OIDC, "spiffe:")
"""How the names of principals begin that come from elsewhere."""

ISSUER_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
"""What a policy calls an issuer: no colon, so that a principal's name has one reading."""

TRUST_DOMAIN: Final = re.compile(r"[a-z0-9._-]{1,128}")
"""SPIFFE-ID section 2.1; shorter than its 255, so that the whole id can stand in a record."""

PATH: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._-]+)+")
"""SPIFFE-ID section 2.2: no empty segment, none that means another, nothing encoded, no slash at the end."""

ALGORITHMS: Final = frozenset(
    {"ES256", "ES384", "ES512", "Ed25519", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"}
)
"""What tokens may be signed with (RFC 7518, RFC 9864): nothing whose secret a verifier would have to hold."""

SVID_ALGORITHMS: Final = ALGORITHMS - {"Ed25519"}
"""JWT-SVID section 2.1."""

UNSAID: Final = "jwt"
"""What a token is that does not say what it is (RFC 7519 section 5.1)."""

TYPES: Final = ("at+jwt", UNSAID)
"""What a token may say that it is: a logout token or a DPoP proof is none (RFC 8725 section 3.11)."""


@attrs.frozen(kw_only=True)
class Tenancy:
    """Whose principals an issuer's are: always the same tenant's, or the one that a claim stands for.

    One of `tenant` and `claim` is "".
    """

    tenant: str
    claim: str
    tenants: Mapping[str, str]
    """By the claim's value. Another value is nobody's."""


@attrs.frozen(kw_only=True)
class Issuer:
    """Who signs tokens, and what such a token must say. `jwks` are its public keys, in canonical bytes."""

    name: str
    issuer: str
    """Exactly as its tokens name it."""
    audiences: tuple[str, ...]
    """What a token must be for: one of these."""
    algorithms: tuple[str, ...]
    jwks: bytes = attrs.field(repr=False)
    tenancy: Tenancy
    principal_claim: str
    require: tuple[tuple[str, str], ...]
    """Claims, and the text that each must be."""
    types: tuple[str, ...]
    leeway_s: int
    """How far the issuer's clock may be from the kernel's."""
    max_age_s: int
    """The longest that a token may still count: one that is lost must end."""

    def principal(self, subject: str) -> str:
        """Return what a subject of this issuer is called here."""
        return f"{OIDC}{self.name}:{subject}"


@attrs.frozen(kw_only=True)
class TrustDomain:
    """Whose SVIDs count, and which roots and keys prove them."""

    name: str
    tenant: str
    audiences: tuple[str, ...]
    """What a JWT-SVID must be for; empty where none counts."""
    jwks: bytes = attrs.field(repr=False)
    """The keys of JWT-SVIDs, in canonical bytes."""
    roots: tuple[bytes, ...] = attrs.field(repr=False)
    """The certificates that sign X.509-SVIDs (DER); empty where none counts."""
    leeway_s: int
    max_age_s: int


@attrs.frozen(kw_only=True)
class Identity:
    """Everyone whose word counts."""

    issuers: Mapping[str, Issuer]
    """By the issuer that tokens name."""
    domains: Mapping[str, TrustDomain]

    @property
    def takes_certificates(self) -> bool:
        """Whether any client certificate can count."""
        return any(domain.roots for domain in self.domains.values())


NO_IDENTITY: Final = Identity(issuers=MappingProxyType({}), domains=MappingProxyType({}))
"""Only keys of HELM's own count."""


def is_from_elsewhere(principal: str) -> bool:
    """Tell whether a name is one of those that no key of HELM's own may give."""
    return principal.lower().startswith(ELSEWHERE)


def trust_domain_of(spiffe_id: str) -> str:
    """Return the trust domain of a workload's SPIFFE id, "" for what is not one (SPIFFE-ID section 2)."""
    if not spiffe_id.startswith(SPIFFE):
        return ""
    domain, slash, path = spiffe_id.removeprefix(SPIFFE).partition("/")
    if TRUST_DOMAIN.fullmatch(domain) is None or PATH.fullmatch(slash + path) is None:
        return ""
    return domain


def source_of(principal: str) -> str:
    """Return where a principal's name comes from: "oidc:NAME", "spiffe://DOMAIN", "" for a name of HELM's own."""
    if principal.startswith(OIDC):
        return principal[: principal.find(":", len(OIDC))]
    domain = trust_domain_of(principal)
    return SPIFFE + domain if domain else ""
