"""A policy that somebody with the right key vouches for; no other is put in force."""

from __future__ import annotations

import attrs

from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.guardian.bundle_signature import PolicySignature, check_signature
from helm.guardian.policy import Policy
from helm.trust.registry import Registry


@attrs.frozen(kw_only=True)
class SignedPolicy:
    """A compiled policy and its detached signature."""

    policy: Policy
    signature: PolicySignature


def check_signed(signed: SignedPolicy, registry: Registry | None) -> None:
    """Raise Invalid, or Refused with its code, unless a policy key that counts now signed the policy."""
    if registry is None:
        raise Invalid("no key is trusted yet", "policy", "start the kernel once to write its genesis")
    key = registry.require(signed.signature.key_id, KeyPurpose.POLICY, registry.lamport + 1)
    check_signature(signed.policy, signed.signature, key.hex)
