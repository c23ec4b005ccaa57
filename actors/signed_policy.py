"""A policy that somebody with the right key vouches for; no other is put in force."""

from __future__ import annotations

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.evidence.refold import Refold
from helm.guardian.bundle_signature import PolicySignature, check_signature
from helm.guardian.policy import Policy


@attrs.frozen(kw_only=True)
class SignedPolicy:
    """A compiled policy and its detached signature."""

    policy: Policy
    signature: PolicySignature


def check_signed(signed: SignedPolicy, state: Refold, lamport: int) -> None:
    """Raise Invalid, or Refused with its code, unless a policy key that counts at `lamport` signed the policy."""
    if state.registry is None:
        raise Invalid("no key is trusted yet", "policy", "start the kernel once to write its genesis")
    key = state.registry.require(signed.signature.key_id, KeyPurpose.POLICY, lamport)
    check_signature(signed.policy, signed.signature, key.hex)
