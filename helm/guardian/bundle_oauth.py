"""Reads the authorization profile of a bundle: issuers, keys and scopes."""

from __future__ import annotations

import re
from types import MappingProxyType
from typing import Final

from helm.contracts.errors import Invalid, Refused
from helm.guardian.bundle_identity import DEFAULT_AGE_S, DEFAULT_LEEWAY_S, read_algorithms, read_tenant
from helm.guardian.bundle_jwks import read_jwks
from helm.guardian.bundle_table import Table
from helm.guardian.destination import split_url
from helm.guardian.identity import ISSUER_NAME, TYPES, Identity, Issuer, Tenancy
from helm.guardian.oauth import OAuthProfile

SCOPE: Final = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]{1,128}")
"""RFC 6749 section 3.3."""


def read_oauth(bundle: Table, identity: Identity) -> OAuthProfile | None:
    """Return the profile, None where the bundle has none: then no token is for the MCP door. Raises Invalid."""
    if not bundle.has("oauth"):
        return None
    table = bundle.table("oauth")
    servers = table.texts("authorization_servers")
    if not servers:
        raise Invalid("no issuer", table.at("authorization_servers"), "name each as its tokens name it")
    for number, server in enumerate(servers):
        check_url(server, f"{table.at('authorization_servers')}[{number}]")
    resource = table.name("resource")
    check_url(resource, table.at("resource"))
    profile = OAuthProfile(
        profile_id=table.name("profile_id", "mcp"),
        resource=resource,
        authorization_servers=servers,
        issuer=read_own_issuer(table, servers, identity),
        required_scopes=read_scopes(table, "required_scopes"),
    )
    table.finish()
    return profile


def read_own_issuer(table: Table, servers: tuple[str, ...], identity: Identity) -> Issuer | None:
    """Return the issuer that only the MCP door knows, None where every one is declared for all doors. Raises Invalid.

    A key stands for one issuer: with two, the one could sign in the other's name (T9).
    """
    where, resource = table.at("authorization_servers"), table.name("resource")
    own = [server for server in servers if server not in identity.issuers]
    for server in servers:
        if server not in own and resource not in identity.issuers[server].audiences:
            hint = f"add {resource} to its audiences: a token must be for this door"
            raise Invalid(f"{server} signs no token for this resource", where, hint)
    if not own:
        if table.has("jwks"):
            hint = "leave its keys out here, or declare it here alone"
            raise Invalid("the issuer is declared for all doors, with keys of its own", table.at("jwks"), hint)
        return None
    if len(own) > 1:
        raise Invalid("one set of keys for several issuers", where, "declare each in a table [identity.oidc.NAME]")
    name = table.name("profile_id", "mcp")
    if ISSUER_NAME.fullmatch(name) is None or name in {issuer.name for issuer in identity.issuers.values()}:
        hint = "callers are called oidc:NAME:SUBJECT: small letters, digits and dashes, a name of its own"
        raise Invalid(f"{name} cannot be the name of an issuer", table.at("profile_id"), hint)
    return Issuer(
        name=name,
        issuer=own[0],
        audiences=(resource,),
        algorithms=read_algorithms(table),
        jwks=read_jwks(table),
        tenancy=Tenancy(tenant=read_tenant(table), claim="", tenants=MappingProxyType({})),
        principal_claim=table.name("principal_claim", "sub"),
        require=(),
        types=TYPES,
        leeway_s=DEFAULT_LEEWAY_S,
        max_age_s=DEFAULT_AGE_S,
    )


def read_scopes(table: Table, member: str) -> tuple[str, ...]:
    """Return scopes. Raises Invalid."""
    scopes = table.texts(member, ())
    for number, scope in enumerate(scopes):
        if SCOPE.fullmatch(scope) is None:
            where = f"{table.at(member)}[{number}]"
            raise Invalid("not a scope", where, "visible ASCII, no quotes or backslashes (RFC 6749 section 3.3)")
    return scopes


def check_url(url: str, where: str) -> None:
    """Raise Invalid for what is no address of a web server (RFC 8414, RFC 9728: no query, no fragment)."""
    try:
        destination, rest = split_url(url)
    except Refused as refused:
        raise Invalid(refused.reason, where) from refused
    if destination.scheme not in ("http", "https") or "?" in rest or "#" in rest:
        raise Invalid("not the address of a web server", where, "write https://host/path, no query, no fragment")
