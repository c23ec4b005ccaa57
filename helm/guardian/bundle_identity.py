"""Reads whose word counts on who is calling: the issuers and trust domains of a bundle."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator
from types import MappingProxyType
from typing import Final

from helm.contracts.dialect import shown
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue
from helm.guardian.bundle_jwks import check_keys, read_jwks, read_set
from helm.guardian.bundle_table import Table, check_name
from helm.guardian.identity import (
    ALGORITHMS,
    ISSUER_NAME,
    NO_IDENTITY,
    TRUST_DOMAIN,
    TYPES,
    Identity,
    Issuer,
    Tenancy,
    TrustDomain,
)

MAX_ISSUERS: Final = 32
"""And as many trust domains: each is looked through when a certificate comes (T4)."""

MAX_VALUES: Final = 256
"""Values of a claim that stand for a tenant (T4)."""

DEFAULT_LEEWAY_S: Final = 60
MAX_LEEWAY_S: Final = 120
"""Beyond it, an expired token would count because some clock is wrong (T9)."""

DEFAULT_AGE_S: Final = 86_400
MAX_AGE_S: Final = 7 * 86_400
"""Longest that a token may still count: nobody can take one back (T9)."""

TENANT: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""No slash: "tenant/principal" must have one reading."""

JWT_SVID: Final = "jwt-svid"
X509_SVID: Final = "x509-svid"


def read_identity(bundle: Table) -> Identity:
    """Return whose word counts, nobody's but HELM's own where the bundle says nothing. Raises Invalid."""
    if not bundle.has("identity"):
        return NO_IDENTITY
    table = bundle.table("identity")
    issuers: dict[str, Issuer] = {}
    for name, written in table.named("oidc"):
        issuer = read_issuer(name, written)
        if issuer.issuer in issuers:
            hint = "its callers would have two names: declare it once"
            raise Invalid("another table declares this issuer", written.at("issuer"), hint)
        issuers[issuer.issuer] = issuer
    domains = {name: read_domain(name, written) for name, written in table.named("spiffe")}
    for member, found in (("oidc", issuers), ("spiffe", domains)):
        if len(found) > MAX_ISSUERS:
            raise Invalid(f"more than {MAX_ISSUERS}", table.at(member))
    table.finish()
    return Identity(issuers=MappingProxyType(issuers), domains=MappingProxyType(domains))


def read_issuer(name: str, table: Table) -> Issuer:
    """Return one issuer. Raises Invalid."""
    if ISSUER_NAME.fullmatch(name) is None:
        hint = "its callers are called oidc:NAME:SUBJECT: small letters, digits and dashes, at most 32"
        raise Invalid(f"{shown(name)} is not a name for an issuer", table.place, hint)
    issuer = Issuer(
        name=name,
        issuer=table.name("issuer"),
        audiences=read_audiences(table),
        algorithms=read_algorithms(table),
        jwks=read_jwks(table),
        tenancy=read_tenancy(table),
        principal_claim=table.name("principal_claim", "sub"),
        require=tuple(sorted(read_words(table, "require"))),
        types=read_types(table),
        leeway_s=table.whole("leeway_s", (0, MAX_LEEWAY_S), DEFAULT_LEEWAY_S),
        max_age_s=table.whole("max_age_s", (1, MAX_AGE_S), DEFAULT_AGE_S),
    )
    table.finish()
    return issuer


def read_domain(name: str, table: Table) -> TrustDomain:
    """Return one trust domain, from its bundle as SPIFFE publishes it. Raises Invalid."""
    if TRUST_DOMAIN.fullmatch(name) is None:
        hint = "small letters, digits, dots, dashes and underscores, as in its SPIFFE ids"
        raise Invalid(f"{shown(name)} is not a trust domain", table.place, hint)
    where = table.at("bundle")
    signing: list[JSONValue] = []
    roots: list[bytes] = []
    for number, key in enumerate(read_set(table, "bundle")):
        kind = key.get("use") if type(key) is dict else None
        if kind == JWT_SVID:
            signing.append(key)
        elif kind == X509_SVID:
            roots.append(read_root(key, f"{where}.keys[{number}]"))
        else:
            hint = f"leave it out: {JWT_SVID} and {X509_SVID} are looked at"
            raise Invalid("a key for another use", f"{where}.keys[{number}]", hint)
    domain = TrustDomain(
        name=name,
        tenant=read_tenant(table),
        audiences=read_audiences(table) if signing else (),
        jwks=check_keys(signing, where),
        roots=tuple(roots),
        leeway_s=table.whole("leeway_s", (0, MAX_LEEWAY_S), DEFAULT_LEEWAY_S),
        max_age_s=table.whole("max_age_s", (1, MAX_AGE_S), DEFAULT_AGE_S),
    )
    table.finish()
    return domain


def read_root(key: JSONValue, where: str) -> bytes:
    """Return the certificate of an entry of a SPIFFE bundle (X509-SVID section 6). Raises Invalid."""
    chain = key.get("x5c")
    if type(chain) is not list or len(chain) != 1 or type(chain[0]) is not str:
        raise Invalid("not exactly one certificate", f"{where}.x5c", "one entry for each root, DER in base64")
    try:
        return b64decode(chain[0], validate=True)
    except ValueError as problem:
        raise Invalid(f"not base64: {problem}", f"{where}.x5c", "DER in base64, without line breaks") from problem


def read_audiences(table: Table) -> tuple[str, ...]:
    """Return what tokens must be for. Raises Invalid."""
    audiences = table.texts("audiences")
    if not audiences:
        hint = "name what stands for this HELM, and for nothing else: a token for another server must not count here"
        raise Invalid("no audience", table.at("audiences"), hint)
    return audiences


def read_algorithms(table: Table) -> tuple[str, ...]:
    """Return what tokens may be signed with. Raises Invalid."""
    algorithms = table.texts("algorithms")
    unknown = sorted({*algorithms} - ALGORITHMS)
    if unknown or not algorithms:
        what = f"{unknown[0]} signs no token here" if unknown else "no algorithm"
        raise Invalid(what, table.at("algorithms"), f"write some of {', '.join(sorted(ALGORITHMS))}")
    return algorithms


def read_types(table: Table) -> tuple[str, ...]:
    types = table.texts("types", TYPES)
    if not types or {*types} - {*TYPES}:
        raise Invalid("not a type of token that counts", table.at("types"), f"write some of {', '.join(TYPES)}")
    return types


def read_tenancy(table: Table) -> Tenancy:
    """Return whose principals an issuer's are. Raises Invalid."""
    if not table.has("tenant_claim"):
        return Tenancy(tenant=read_tenant(table), claim="", tenants=MappingProxyType({}))
    if table.has("tenant"):
        raise Invalid("both a tenant and a claim that names one", table.at("tenant"), "leave one out")
    tenants = dict(read_words(table, "tenants"))
    if not tenants:
        hint = "write [... .tenants] with VALUE = TENANT for each: what an issuer says is no tenant of ours"
        raise Invalid("no value of the claim stands for a tenant", table.at("tenants"), hint)
    for value, tenant in tenants.items():
        check_tenant(tenant, f"{table.at('tenants')}.{value}")
    return Tenancy(tenant="", claim=table.name("tenant_claim"), tenants=MappingProxyType(tenants))


def read_tenant(table: Table) -> str:
    """Return a tenant. Raises Invalid."""
    tenant = table.name("tenant", "default")
    check_tenant(tenant, table.at("tenant"))
    return tenant


def check_tenant(tenant: str, where: str) -> None:
    if TENANT.fullmatch(tenant) is None:
        raise Invalid(f"{shown(tenant)} is not a tenant", where, "letters, digits, _, . and -, at most 64")


def read_words(table: Table, member: str) -> Iterator[tuple[str, str]]:
    """Yield the names of a table below this one, each with a text. Raises Invalid."""
    words = table.table(member)
    if len(words.members) > MAX_VALUES:
        raise Invalid(f"more than {MAX_VALUES}", words.place)
    for name in words.members:
        check_name(name, words.at(name))
        yield name, words.name(name)
