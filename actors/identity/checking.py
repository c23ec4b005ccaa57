"""Credentials tried without a door: whom one would make of its holder, under a policy and at a time."""

from __future__ import annotations

from typing import Final

from actors.identity.certificates import proved
from actors.identity.holder import Holder, Unbelieved
from actors.identity.tokens import token_of
from actors.identity.trust import Trust
from actors.keys.bearer import BearerKeys
from helm.contracts.form import JSONValue
from helm.guardian.policy import Policy

PEM: Final = "-----BEGIN CERTIFICATE-----"


def examine(written: str, keys: BearerKeys, policy: Policy, now_ms: int, *, at_mcp: bool) -> dict[str, JSONValue]:
    """Return whom a key, a token or a certificate makes of its holder. Raises Unbelieved."""
    if PEM in written:
        trust = Trust.of(policy)
        roots = [root for domain in policy.identity.domains.values() for root in domain.roots]
        return told_of(trust.certificate_holder(proved(written.encode(), roots), now_ms))
    key = keys.find(f"Bearer {written}")
    if key is not None and not key.counts_at(now_ms):
        raise Unbelieved("the bearer key has expired")
    if key is not None:
        return {"class": key.key_class, "principal": key.principal, "source": "key", "tenant": key.tenant}
    token = token_of(f"Bearer {written}")
    if not token:
        raise Unbelieved("neither a key of this installation, nor a token, nor a certificate")
    return told_of(Trust.of(policy).token_holder(token, now_ms, at_mcp=at_mcp))


def told_of(holder: Holder) -> dict[str, JSONValue]:
    told: dict[str, JSONValue] = {
        "class": holder.key_class,
        "principal": holder.principal,
        "source": holder.source,
        "tenant": holder.tenant,
        "until_ms": holder.until_ms,
    }
    if holder.resource:
        told |= {"resource": holder.resource, "scopes": list(holder.scopes)}
    if holder.bound_to:
        told |= {"bound_to": holder.bound_to}
    return told
