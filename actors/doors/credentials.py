"""Who is calling: the credential of a request, and which class of route it opens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from actors.doors.problem import Problem
from actors.identity.certificates import Presented
from actors.identity.credentials import Credentials
from actors.identity.holder import Unbelieved
from actors.keys.bearer import BearerKey, KeyClass, KeyScope
from helm.surfaces.route import Access, Door, Route
from helm.surfaces.table import TABLE

KEPT = "auto-"
"""How the sessions begin that callers get who name none."""

CHALLENGE = (("www-authenticate", 'Bearer realm="helm"'),)


BESIDE: Final = {(row.method, row.path): row for row in TABLE.values() if row.door is not Door.CONTROL}
"""The rows of the doors beside the control plane, whose requests are no framework's."""

PRESENTED = "helm.presented"
"""Where a connection says, in the state of a scope, with which certificates its client opened it."""


def authenticate(
    who: Credentials, authorization: str, presented: Presented | None = None, *, at_mcp: bool = False
) -> BearerKey:
    """Return who is calling. Raises Problem 401, also where no key was ever issued and no issuer is known."""
    try:
        key = who.own(authorization or None)
        return key if key is not None else who.holder(authorization, presented, at_mcp=at_mcp)
    except Unbelieved as problem:
        raise Problem(status=401, detail=str(problem), place="authorization", headers=CHALLENGE) from problem


def presented_in(scope: Mapping[str, Any]) -> Presented | None:
    """Return the certificates of a request's connection, None for a client that brought none."""
    found: Presented | None = scope.get("state", {}).get(PRESENTED)
    return found


def check_open(route: Route, key: BearerKey) -> None:
    """Raise Problem unless the row of a route opens it to this key. Nothing else says who may ask."""
    match route.access:
        case Access.TENANT:
            check_tenant(key)
        case Access.ADMIN:
            check_admin(key)
        case Access.ANY | Access.APPROVER | Access.PUBLIC:
            pass
    if key.scope == KeyScope.READ and route.method != "GET":
        raise Problem(status=403, detail="this key only reads", place="authorization")


def check_still(who: Credentials, key: BearerKey) -> None:
    """Raise Problem 401 where a key that opened a request counts no more: its body may have taken a while."""
    try:
        who.check_still(key)
    except Unbelieved as problem:
        raise Problem(status=401, detail=str(problem), place="authorization", headers=CHALLENGE) from problem


def check_tenant(key: BearerKey) -> None:
    """Raise Problem unless the key is a tenant's: an operator is nobody's agent."""
    if key.key_class != KeyClass.TENANT:
        raise Problem(status=403, detail="an admin key makes no calls: use a tenant's key", place="authorization")


def check_admin(key: BearerKey) -> None:
    """Raise Problem unless the key is an operator's."""
    if key.key_class != KeyClass.ADMIN:
        raise Problem(status=403, detail="only an admin key opens this route", place="authorization")


def check_calls(key: BearerKey) -> None:
    """Raise Problem unless the key may make calls, also where no row of the table says so: in a stream, at CONNECT."""
    check_tenant(key)
    if key.scope == KeyScope.READ:
        raise Problem(status=403, detail="this key only reads", place="authorization")


def tenant_of(key: BearerKey) -> str | None:
    """Return the tenant whose records the key may read, None for all of them."""
    return key.tenant if key.key_class == KeyClass.TENANT else None


def session_of(key: BearerKey, span: int) -> str:
    """Name the session of a caller who names none: its credential's own, a new one in every span of time."""
    return f"{KEPT}{key.credential_hash[7:23]}-{span}"


def check_opening(key: BearerKey, session_id: str) -> None:
    """Raise Problem where a caller would open the session that is kept for another credential (T9.4).

    Receipts show these names to the whole tenant, and they can be counted on: whoever opens the next one first would
    shut its credential out.
    """
    if session_id.startswith(KEPT) and not session_id.startswith(session_of(key, 0)[:-1]):
        detail = "this name is kept for a caller who names no session: choose another"
        raise Problem(status=403, detail=detail, place="/session_id")
