"""The policies of a pack: who vouched for which bundle, and whether the bundle in the pack is that one.

Nothing is compiled here: to know that this is the policy needs only its hash and what its signature covers.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from helm.contracts.errors import Invalid, Malformed
from helm.contracts.form import JSONValue
from helm.crypto import domains
from helm.crypto.canonical import canonical, parse
from helm.crypto.hashing import hash_in
from helm.evidence.layout import policy_path
from helm.guardian.bundle_signature import VERSION, PolicySignature

MAX_BYTES = 16 * 1024 * 1024
"""Largest bundle that is read: a thousand tools with their schemas (T4)."""

MAX_DEPTH = 64
"""Deepest bundle that is read; a compiled one is shallower (T4)."""

EDITED = "the pack was changed, or made from a log that was"


@attrs.frozen(kw_only=True)
class Statement:
    """What a bundle says of itself, as far as a signature over it speaks of that."""

    scope: str
    epoch: int
    policy_hash: str
    p0_ceiling_hash: str


def activation(payload: dict[str, JSONValue]) -> PolicySignature:
    """Return the signature that a POLICY_ACTIVATED event carries."""
    return PolicySignature(
        epoch=payload["epoch"],
        key_id=payload["key_id"],
        p0_ceiling_hash=payload["p0_ceiling_hash"],
        policy_hash=payload["policy_hash"],
        scope=payload["scope"],
        signature=payload["signature"],
        version=VERSION,
    )


def stated_by(signature: PolicySignature, members: Mapping[str, bytes]) -> PolicySignature | Statement:
    """Return what the bundle of a signature states; without it in the pack, the signature stands alone."""
    path = policy_path(signature.policy_hash)
    raw = members.get(path)
    return signature if raw is None else read_statement(raw, path)


def read_statement(raw: bytes, where: str) -> Statement:
    """Return what a bundle in canonical bytes says of itself. Raises Invalid."""
    try:
        bundle = parse(raw, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH)
        if canonical(bundle, max_bytes=MAX_BYTES, max_depth=MAX_DEPTH) != raw or type(bundle) is not dict:
            raise Invalid("is not one canonical object", where, EDITED)
        return Statement(
            scope=bundle["scope"],
            epoch=bundle["epoch"],
            policy_hash=hash_in(domains.POLICY, raw),
            p0_ceiling_hash=hash_in(domains.P0, canonical(bundle.get("p0", {}))),
        )
    except (Malformed, KeyError) as problem:
        raise Invalid(f"is not a policy bundle: {problem}", where, EDITED) from problem
