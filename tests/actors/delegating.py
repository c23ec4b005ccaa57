"""Delegations to attack: a boss who may delegate, and a delegate who must."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from typing import Any, Final

from actors.installation import Installation
from helm.crypto.hashing import digest
from helm.guardian.delegation import DelegationGrant, delegation_id, sign_grant
from helm.guardian.intake import Terms
from tests.actors.policies import POLICY

VERIFIER: Final = "correct-horse-battery-staple-correct-horse-battery"
CHALLENGE: Final = urlsafe_b64encode(digest(VERIFIER.encode())).rstrip(b"=").decode()


def policy_of(place: Installation, text: str = POLICY, more: str = "") -> str:
    """Return the test policy in which `boss` delegates with the key of the installation."""
    return text + f"\n[principals.boss]\ndelegation_keys = {json.dumps([place.delegation_key().key_id])}\n{more}"


def grant(
    place: Installation, now_ms: int, capabilities: Mapping[str, str] | None = None, **changes: Any
) -> DelegationGrant:
    """Return a delegation that is good unless changed."""
    fields: dict[str, Any] = {
        "capabilities": dict(sorted((capabilities or {"read": ""}).items())),
        "challenge": CHALLENGE,
        "delegate": "delegate",
        "delegator": "boss",
        "expires_at_ms": now_ms + 900_000,
        "issued_at_ms": now_ms,
        "key_id": place.delegation_key().key_id,
        "log_id": place.log_id,
        "mfa_at_ms": 0,
        "mfa_evidence_hash": "",
        "mfa_method": "",
        "nonce": "0" * 32,
        "tenant": "default",
    }
    return DelegationGrant(**fields | changes)


def signature(one: DelegationGrant, place: Installation) -> str:
    """Return the delegator's signature."""
    return sign_grant(one, place.delegation_key())


def under(one: DelegationGrant, sequence: int = 1, verifier: str = VERIFIER) -> Terms:
    """Return the terms of a call under a delegation."""
    return Terms(delegation_id=delegation_id(one), delegation_verifier=verifier, delegation_sequence=sequence)
