"""The identities that a kernel knows: holders of keys, openers of sessions, those whose word counts. No secret."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Final

import attrs

from actors.keys.bearer import BearerKey, KeyClass
from helm.contracts.form import JSONValue
from helm.crypto.canonical import record_bytes
from helm.crypto.hashing import sha256
from helm.guardian.freezes import Freezes
from helm.guardian.identity import Identity, Issuer, TrustDomain, source_of
from helm.guardian.policy import Policy
from helm.guardian.sessions import Binding, SessionKey, Sessions

MAX_AGENTS: Final = 1_000
"""Identities in one listing: each principal may be one (T4)."""

MAX_SESSIONS: Final = 100_000
"""The latest sessions that one listing looks at (T4)."""

MAX_SHOWN: Final = 100
"""Sessions that are shown of one identity, the latest."""

Name = tuple[str, str]
"""Tenant and principal."""

OWN: Final = "key"
UNKNOWN: Final = "embedding"
"""A name of HELM's own that no key of its files gives: a program that embeds the kernel gives such names, and a key
that was taken back has given some."""


@attrs.define
class Agent:
    """One identity, as far as it is known."""

    tenant: str
    principal: str
    key_class: str = ""
    key_created_at_ms: int | None = None
    first_session_at_ms: int | None = None
    latest_session_at_ms: int | None = None
    open_sessions: int = 0
    closed_sessions: int = 0

    @property
    def agent_id(self) -> str:
        """The identity's own name, by which it can be asked for."""
        return agent_id(self.tenant, self.principal)

    def note_session(self, binding: Binding, now_ms: int) -> None:
        """Count one of its sessions."""
        at_ms = binding.opened_at_ms
        first, latest = self.first_session_at_ms, self.latest_session_at_ms
        self.first_session_at_ms = at_ms if first is None else min(first, at_ms)
        self.latest_session_at_ms = at_ms if latest is None else max(latest, at_ms)
        if binding.closed_at(now_ms):
            self.closed_sessions += 1
        else:
            self.open_sessions += 1


def agent_id(tenant: str, principal: str) -> str:
    """Return the name of an identity: a hash of what it is called, and where."""
    return "agt_" + sha256(record_bytes({"principal": principal, "tenant": tenant}))[7:39]


def known(keys: Iterable[BearerKey], sessions: Sessions, now_ms: int, tenant: str | None) -> dict[Name, Agent]:
    """Return everyone of a tenant, or of all where it is None: holders of keys first, then whoever opened a session."""
    found: dict[Name, Agent] = {}
    for key in keys:
        if tenant in (None, key.tenant):
            agent = found.setdefault((key.tenant, key.principal), Agent(key.tenant, key.principal))
            agent.key_class, agent.key_created_at_ms = key.key_class, key.created_at_ms
    for (owner, _), binding in latest(sessions):
        if tenant in (None, owner):
            name = (owner, binding.principal)
            found.setdefault(name, Agent(*name)).note_session(binding, now_ms)
    return found


def latest(sessions: Sessions) -> Iterator[tuple[SessionKey, Binding]]:
    """Yield the sessions that are looked at, the latest first."""
    return islice(reversed(sessions.bindings.items()), MAX_SESSIONS)


def body_of(agent: Agent, policy: Policy, freezes: Freezes, seen: Mapping[Name, int]) -> dict[str, JSONValue]:
    """Return an identity as people and programs read it."""
    source = source_of(agent.principal)
    name = (agent.tenant, agent.principal)
    return {
        "agent_id": agent.agent_id,
        "class": agent.key_class or KeyClass.TENANT.value,
        "first_session_at_ms": agent.first_session_at_ms,
        "frozen": freezes.covering(*name) if agent.tenant else "",
        "key_created_at_ms": agent.key_created_at_ms,
        "last_seen_ms": seen.get(name),
        "latest_session_at_ms": agent.latest_session_at_ms,
        "principal": agent.principal,
        "sessions": {"closed": agent.closed_sessions, "open": agent.open_sessions},
        "source": source or (OWN if agent.key_class else UNKNOWN),
        "tenant": agent.tenant,
        "trusted": not source or is_trusted(source, policy.identity, policy),
    }


def is_trusted(source: str, identity: Identity, policy: Policy) -> bool:
    """Tell whether the policy in force takes the word of this issuer, or of this trust domain."""
    own = policy.oauth.issuer if policy.oauth is not None else None
    names = {f"oidc:{issuer.name}" for issuer in (*identity.issuers.values(), *([own] if own is not None else []))}
    return source in names or source.removeprefix("spiffe://") in identity.domains


def sessions_of(sessions: Sessions, name: Name, now_ms: int) -> list[JSONValue]:
    """Return the latest sessions of one identity."""
    tenant, principal = name
    found = (
        {"closed": binding.closed_at(now_ms), "opened_at_ms": binding.opened_at_ms, "session_id": session_id}
        for (owner, session_id), binding in latest(sessions)
        if owner == tenant and binding.principal == principal
    )
    return list(islice(found, MAX_SHOWN))


def issuers_of(policy: Policy, tenant: str | None) -> list[JSONValue]:
    """Return whose tokens count for a tenant, or for anyone where it is None."""
    identity, own = policy.identity, policy.oauth.issuer if policy.oauth is not None else None
    doors = [(issuer, "all") for issuer in identity.issuers.values()] + ([(own, "mcp")] if own is not None else [])
    return [issuer_body(issuer, doors_) for issuer, doors_ in doors if tenant is None or tenant in tenants_of(issuer)]


def tenants_of(issuer: Issuer) -> frozenset[str]:
    tenancy = issuer.tenancy
    return frozenset(tenancy.tenants.values()) if tenancy.claim else frozenset({tenancy.tenant})


def issuer_body(issuer: Issuer, doors: str) -> dict[str, JSONValue]:
    return {
        "algorithms": sorted(issuer.algorithms),
        "audiences": list(issuer.audiences),
        "doors": doors,
        "issuer": issuer.issuer,
        "jwks_hash": sha256(issuer.jwks),
        "name": issuer.name,
        "principal_claim": issuer.principal_claim,
        "tenants": sorted(tenants_of(issuer)),
    }


def domains_of(policy: Policy, tenant: str | None) -> list[JSONValue]:
    """Return whose SVIDs count for a tenant, or for anyone where it is None."""
    domains = policy.identity.domains.values()
    return [domain_body(domain) for domain in domains if tenant in (None, domain.tenant)]


def domain_body(domain: TrustDomain) -> dict[str, JSONValue]:
    return {
        "audiences": list(domain.audiences),
        "jwks_hash": sha256(domain.jwks),
        "roots": [sha256(root) for root in domain.roots],
        "tenant": domain.tenant,
        "trust_domain": domain.name,
    }
