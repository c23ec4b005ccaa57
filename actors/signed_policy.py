"""A policy, or an overlay, that somebody with the right key vouches for; no other is put in force."""

from __future__ import annotations

import attrs

from helm.contracts.errors import Invalid, Refused
from helm.crypto.domains import KeyPurpose
from helm.guardian.bundle_signature import PolicySignature, check_signature
from helm.guardian.overlays import OverlayCommand, check_overlay
from helm.guardian.policy import Policy
from helm.trust.registry import Registry


@attrs.frozen(kw_only=True)
class SignedOverlay:
    """What is said of one overlay, and its canonical text; b"" where it is removed."""

    command: OverlayCommand
    signature: str
    document: bytes = attrs.field(repr=False)


@attrs.frozen(kw_only=True)
class SignedPolicy:
    """A compiled policy and its detached signature, and what is to narrow it beside what the journal has in force."""

    policy: Policy
    signature: PolicySignature
    overlays: tuple[SignedOverlay, ...] = ()
    path: str = attrs.field(default="", eq=False)
    """The file that it was read from, for whoever must sign it again; "" where it comes from none."""


def check_signed(signed: SignedPolicy, registry: Registry | None) -> None:
    """Raise Invalid, or Refused with its code, unless a policy key that counts now signed the policy.

    What is refused of a file says which one, and the command that signs it.
    """
    if registry is None:
        raise Invalid("no key is trusted yet", "policy", "start the kernel once to write its genesis")
    path = signed.path
    try:
        key = registry.require(signed.signature.key_id, KeyPurpose.POLICY, registry.lamport + 1)
        check_signature(signed.policy, signed.signature, key.hex)
    except Invalid as problem:
        if not path:
            raise
        hint = f"have a policy key that counts sign it: helm policy sign {path}"
        raise Invalid(problem.what, f"{path}: {problem.where}", hint) from problem
    except Refused as problem:
        if not path:
            raise
        raise Refused(problem.code, f"{path}: {problem.reason}: helm policy sign {path}") from problem


def check_signed_overlay(signed: SignedOverlay, registry: Registry | None) -> None:
    """Raise Invalid unless a policy key that counts now signed it, for this log."""
    if registry is None or signed.command.log_id != registry.log_id:
        raise Invalid("the overlay is for another log", "overlay", "sign it for this log")
    key = registry.require(signed.command.key_id, KeyPurpose.POLICY, registry.lamport + 1)
    check_overlay(signed.command, signed.signature, key)
