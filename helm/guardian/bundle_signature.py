"""Which policy may be put in force: one that its keeper vouches for, after the one before it.

The signature covers scope, epoch and both hashes, so that a bundle cannot be moved to another place, called
newer than it is, or put under other ceilings (T8).
"""

from __future__ import annotations

from typing import Protocol

import attrs

from helm.contracts.errors import Refused
from helm.contracts.form import Form
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import record_bytes
from helm.crypto.domains import POLICY_BUNDLE
from helm.crypto.ed25519 import PublicKey, SignatureInvalid, Signer

VERSION = "helm.policy-signature/1"


@attrs.frozen(kw_only=True, slots=False)
class PolicySignature:
    """A detached signature. `key_id` routes to a key and is never trusted."""

    epoch: int
    key_id: str
    p0_ceiling_hash: str
    policy_hash: str
    scope: str
    signature: str
    version: str


SIGNATURE = Form(PolicySignature)


class InForce(Protocol):
    """A policy as far as the next one must know it."""

    @property
    def scope(self) -> str:
        """Where it is in force."""

    @property
    def epoch(self) -> int:
        """How many came before it, at most."""

    @property
    def policy_hash(self) -> str:
        """Which one it is."""


class Stated(InForce, Protocol):
    """A policy as far as a signature speaks of it. Whoever only checks signatures compiles nothing."""

    @property
    def p0_ceiling_hash(self) -> str:
        """Under which ceilings it stands."""


def sign_policy(policy: Stated, signer: Signer) -> PolicySignature:
    """Vouch for a policy with a key for policies. Raises PurposeMismatch."""
    unsigned = PolicySignature(
        epoch=policy.epoch,
        key_id=signer.key_id,
        p0_ceiling_hash=policy.p0_ceiling_hash,
        policy_hash=policy.policy_hash,
        scope=policy.scope,
        signature="",
        version=VERSION,
    )
    return attrs.evolve(unsigned, signature=signer.sign(POLICY_BUNDLE, signed_bytes(unsigned)))


def signed_bytes(signature: PolicySignature) -> bytes:
    """Return what is signed: every field, the signature itself as ""."""
    return record_bytes(SIGNATURE.body(attrs.evolve(signature, signature="")))


def check_signature(policy: Stated, signature: PolicySignature, public_key: str) -> None:
    """Check that the holder of `public_key` (64 hex digits) vouches for this very policy. Raises Refused."""
    # 1. The record is one that this program knows how to read.
    if signature.version != VERSION:
        refuse(f"the signature is of version {signature.version!a}, not {VERSION}")
    # 2. It names the key that it is checked with: what routes and what is trusted are the same.
    # 3. It is that key's, over every field. The key itself is checked first.
    try:
        key = PublicKey.from_hex(public_key)
        if signature.key_id != key.key_id:
            refuse("the signature names another key than the one it is checked with")
        key.verify(POLICY_BUNDLE, signed_bytes(signature), signature.signature)
    except SignatureInvalid as problem:
        raise Refused(ReasonCode.POLICY_SIGNATURE_INVALID, f"the policy's signature: {problem}") from problem
    # 4. It is about this policy, and says nothing else of it than the policy says itself.
    if signature.policy_hash != policy.policy_hash or signature.p0_ceiling_hash != policy.p0_ceiling_hash:
        reason = f"the signature is over {signature.policy_hash}, the policy is {policy.policy_hash}"
        raise Refused(ReasonCode.POLICY_HASH_MISMATCH, f"{reason}: sign the policy as it is now")
    if signature.scope != policy.scope or signature.epoch != policy.epoch:
        refuse("the signature states another scope or epoch than the policy")


def refuse(reason: str) -> None:
    raise Refused(ReasonCode.POLICY_SIGNATURE_INVALID, reason)


def check_succession(active: InForce | None, candidate: InForce) -> None:
    """Check that a policy may follow the active one: same scope, newer or the very same. Raises Refused."""
    if active is None:
        return
    if candidate.scope != active.scope:
        reason = f"the policy is for {candidate.scope}, the active one for {active.scope}"
        raise Refused(ReasonCode.POLICY_VIOLATION, f"{reason}: a log keeps its scope, another scope needs its own log")
    if candidate.epoch < active.epoch:
        reason = f"the policy's epoch {candidate.epoch} is older than the active {active.epoch}"
        raise Refused(ReasonCode.POLICY_EPOCH_CHANGED, f"{reason}: sign it with a higher one")
    if candidate.epoch == active.epoch and candidate.policy_hash != active.policy_hash:
        reason = f"epoch {active.epoch} is taken by another policy"
        raise Refused(ReasonCode.POLICY_HASH_MISMATCH, f"{reason}: raise the epoch")
