"""Who is calling: the bearer key of a request, and which class of route it opens."""

from __future__ import annotations

from actors.bearer import BearerKey, BearerKeys, KeyClass
from actors.doors.problem import Problem

CHALLENGE = (("www-authenticate", 'Bearer realm="helm"'),)


def authenticate(keys: BearerKeys, authorization: str) -> BearerKey:
    """Return whose key an Authorization header carries. Raises Problem 401, also where no key was ever issued."""
    key = keys.find(authorization or None)
    if key is None:
        detail = "no bearer key that opens this installation" if authorization else "a bearer key is needed"
        raise Problem(status=401, detail=detail, place="authorization", headers=CHALLENGE)
    return key


def check_tenant(key: BearerKey) -> None:
    """Raise Problem unless the key is a tenant's: an operator is nobody's agent."""
    if key.key_class != KeyClass.TENANT:
        raise Problem(status=403, detail="an admin key makes no calls: use a tenant's key", place="authorization")


def check_admin(key: BearerKey) -> None:
    """Raise Problem unless the key is an operator's."""
    if key.key_class != KeyClass.ADMIN:
        raise Problem(status=403, detail="only an admin key opens this route", place="authorization")


def tenant_of(key: BearerKey) -> str | None:
    """Return the tenant whose records the key may read, None for all of them."""
    return key.tenant if key.key_class == KeyClass.TENANT else None
