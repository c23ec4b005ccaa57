"""Who came with a token or a certificate: a principal that says where its name comes from, for as long as it counts."""

from __future__ import annotations

import attrs

from actors.keys.bearer import PRINCIPAL, BearerKey, KeyClass
from helm.guardian.identity import trust_domain_of


class Unbelieved(Exception):
    """A credential that does not count. Its text says why, and holds nothing of the credential."""


@attrs.frozen(kw_only=True)
class TokenHolder(BearerKey):
    """Who holds an access token, with what it is for and what it carries."""

    resource: str = ""
    scopes: tuple[str, ...] = ()

    @property
    def oauth_resource(self) -> str:
        """What the token is for."""
        return self.resource

    @property
    def oauth_scopes(self) -> tuple[str, ...]:
        """What the token carries, sorted."""
        return self.scopes


@attrs.frozen(kw_only=True)
class Holder(TokenHolder):
    """Who holds a credential of somebody else's making, which counts under one policy and ends."""

    source: str
    """Who vouches: the issuer's address, or the trust domain."""
    policy_hash: str
    until_ms: int
    bound_to: str = ""
    """The client certificate that must come with the token (RFC 8705 section 3.1), "" for no such bond."""


def check_principal(principal: object, what: str) -> str:
    """Return what can be a principal's name. Raises Unbelieved."""
    if type(principal) is not str or PRINCIPAL.fullmatch(principal) is None:
        raise Unbelieved(f"{what} is no principal of 1 to 256 visible ASCII characters")
    return principal


def check_workload(spiffe_id: str) -> str:
    """Return the trust domain of a workload. Raises Unbelieved for what is not a workload's SPIFFE id."""
    check_principal(spiffe_id, "its SPIFFE id")
    domain = trust_domain_of(spiffe_id)
    if not domain:
        raise Unbelieved("its SPIFFE id is not spiffe://TRUST-DOMAIN/PATH")
    return domain


TENANT = KeyClass.TENANT.value
"""What every credential from elsewhere opens: operators have keys of HELM's own."""
