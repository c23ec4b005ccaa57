"""Whose word counts under one policy, its keys ready for use, and whom that word makes of a credential's holder."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import attrs

from actors.identity.certificates import Presented, check_root, read_workload
from actors.identity.holder import TENANT, Holder, Unbelieved, check_principal, check_workload
from actors.identity.tokens import (
    Keys,
    Token,
    bound_to,
    check_alone,
    check_audience,
    check_signature,
    check_times,
    import_keys,
    take_apart,
)
from helm.contracts.form import JSONValue
from helm.crypto.canonical import record_bytes
from helm.crypto.hashing import sha256
from helm.guardian.bundle_oauth import SCOPE
from helm.guardian.identity import SPIFFE, SVID_ALGORITHMS, UNSAID, Issuer, Tenancy, TrustDomain
from helm.guardian.policy import Policy

MAX_SCOPES: Final = 128

SVID_HEADER: Final = frozenset({"alg", "kid", "typ"})
"""JWT-SVID section 2: any other member is forbidden."""

SVID_TYPES: Final = frozenset({"JWT", "JOSE"})


@attrs.frozen(kw_only=True, eq=False)
class Trust:
    """One policy's issuers and trust domains."""

    policy: Policy
    issuers: Mapping[str, tuple[Issuer, Keys]]
    """By the issuer that tokens name."""
    at_mcp: Mapping[str, tuple[Issuer, Keys]]
    """Those whose tokens open the MCP door alone."""
    domains: Mapping[str, tuple[TrustDomain, Keys]]

    @classmethod
    def of(cls, policy: Policy) -> Trust:
        """Return what a policy trusts. Raises Invalid for a key or a root that cannot be used."""
        identity = policy.identity
        issuers = {name: (one, import_keys(one.jwks, _place(one))) for name, one in identity.issuers.items()}
        own = policy.oauth.issuer if policy.oauth is not None else None
        at_mcp = {} if own is None else {own.issuer: (own, import_keys(own.jwks, "oauth.jwks"))}
        domains = {}
        for name, domain in identity.domains.items():
            where = f"identity.spiffe.{name}.bundle"
            for root in domain.roots:
                check_root(root, where)
            domains[name] = (domain, import_keys(domain.jwks, where))
        return cls(
            policy=policy,
            issuers=MappingProxyType(issuers),
            at_mcp=MappingProxyType(at_mcp),
            domains=MappingProxyType(domains),
        )

    def token_holder(self, text: str, now_ms: int, *, at_mcp: bool) -> Holder:
        """Return who holds a token. Raises Unbelieved."""
        token = take_apart(text)
        subject, said = token.claims.get("sub"), token.claims.get("iss")
        if type(subject) is str and subject.startswith(SPIFFE):
            return self._svid_holder(token, subject, now_ms)
        name = said if type(said) is str else ""
        found = self.issuers.get(name) or (self.at_mcp.get(name) if at_mcp else None)
        if found is None:
            raise Unbelieved("the policy names no such issuer")
        return self._issued_holder(token, found, now_ms)

    def certificate_holder(self, presented: Presented, now_ms: int) -> Holder:
        """Return which workload a client certificate makes of a connection's client. Raises Unbelieved."""
        workload = read_workload(presented)
        found = self.domains.get(workload.trust_domain)
        # The path was proved up to any root of any domain: here it must pass through one of its own domain.
        if found is None or not {*presented.path[1:]} & {*found[0].roots}:
            raise Unbelieved("no root that the policy pins for its trust domain vouches for the client certificate")
        if not workload.since_ms <= now_ms < workload.until_ms:
            raise Unbelieved("the client certificate does not count at this time")
        return self._workload(workload.spiffe_id, found[0], workload.until_ms)

    def _issued_holder(self, token: Token, found: tuple[Issuer, Keys], now_ms: int) -> Holder:
        issuer, keys = found
        check_signature(token, keys, issuer.algorithms)
        check_type(token, issuer.types)
        check_audience(token, issuer.audiences)
        until_ms = check_times(token, now_ms, issuer.leeway_s, issuer.max_age_s)
        check_alone(token)
        for name, text in issuer.require:
            if token.claims.get(name) != text:
                raise Unbelieved(f"its {name} is not what the policy requires")
        subject = check_principal(token.claims.get(issuer.principal_claim), f"its {issuer.principal_claim}")
        principal = check_principal(issuer.principal(subject), "its name here")
        resource = self._resource(token)
        return Holder(
            credential_hash=sha256(record_bytes({"iss": issuer.issuer, "principal": principal})),
            created_at_ms=now_ms,
            key_class=TENANT,
            principal=principal,
            tenant=tenant_in(token, issuer.tenancy),
            source=issuer.issuer,
            policy_hash=self.policy.policy_hash,
            until_ms=until_ms,
            bound_to=bound_to(token),
            resource=resource,
            scopes=scopes_of(token) if resource else (),
        )

    def _svid_holder(self, token: Token, spiffe_id: str, now_ms: int) -> Holder:
        """Return the workload of a JWT-SVID (JWT-SVID section 4). Raises Unbelieved."""
        found = self.domains.get(check_workload(spiffe_id))
        if found is None:
            raise Unbelieved("the policy names no such trust domain")
        domain, keys = found
        if token.header.keys() - SVID_HEADER or token.header.get("typ", "JWT") not in SVID_TYPES:
            raise Unbelieved("its header is not that of a JWT-SVID")
        check_signature(token, keys, tuple(SVID_ALGORITHMS))
        check_audience(token, domain.audiences)
        until_ms = check_times(token, now_ms, domain.leeway_s, domain.max_age_s)
        check_alone(token)
        return self._workload(spiffe_id, domain, until_ms, bound_to(token))

    def _workload(self, spiffe_id: str, domain: TrustDomain, until_ms: int, bound: str = "") -> Holder:
        """Return a workload: the same one, with whichever kind of SVID it comes."""
        return Holder(
            credential_hash=sha256(record_bytes({"spiffe": spiffe_id})),
            created_at_ms=0,
            key_class=TENANT,
            principal=spiffe_id,
            tenant=domain.tenant,
            source=SPIFFE + domain.name,
            policy_hash=self.policy.policy_hash,
            until_ms=until_ms,
            bound_to=bound,
        )

    def _resource(self, token: Token) -> str:
        """Return the resource of the authorization profile where the token is for it, "" for any other token."""
        profile = self.policy.oauth
        if profile is None:
            return ""
        try:
            check_audience(token, (profile.resource,))
        except Unbelieved:
            return ""
        return profile.resource if token.claims["iss"] in profile.authorization_servers else ""


def check_type(token: Token, types: tuple[str, ...]) -> None:
    """Raise Unbelieved for a token that says that it is something else (RFC 8725 section 3.11)."""
    said = token.header.get("typ", UNSAID)
    if type(said) is not str or said.lower().removeprefix("application/") not in types:
        raise Unbelieved("it is not of a type that the policy takes")


def tenant_in(token: Token, tenancy: Tenancy) -> str:
    """Return whose principal a token's holder is. Raises Unbelieved."""
    if not tenancy.claim:
        return tenancy.tenant
    said: JSONValue = token.claims.get(tenancy.claim)
    tenant = tenancy.tenants.get(said) if type(said) is str else None
    if tenant is None:
        raise Unbelieved(f"its {tenancy.claim} stands for no tenant")
    return tenant


def scopes_of(token: Token) -> tuple[str, ...]:
    """Return the scopes that a token carries, sorted (RFC 8693 section 4.2). Raises Unbelieved."""
    said = token.claims.get("scope", token.claims.get("scp", ""))
    words = said.split(" ") if type(said) is str else said
    if type(words) is not list or len(words) > MAX_SCOPES or not all(type(word) is str for word in words):
        raise Unbelieved(f"its scope is no text of at most {MAX_SCOPES} words")
    scopes = {word for word in words if word}
    if not all(SCOPE.fullmatch(scope) for scope in scopes):
        raise Unbelieved("its scope holds what is none")
    return tuple(sorted(scopes))


def check_bound(holder: Holder, presented: Presented | None) -> None:
    """Raise Unbelieved for a token that is bound to a certificate which did not come with it (RFC 8705)."""
    if not holder.bound_to:
        return
    shown = presented.thumbprint if presented is not None else ""
    if not hmac.compare_digest(shown.encode(), holder.bound_to.encode("utf-8", "replace")):
        raise Unbelieved("it is bound to another client certificate")


def _place(issuer: Issuer) -> str:
    return f"identity.oidc.{issuer.name}.jwks"
