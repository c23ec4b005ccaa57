"""A delegation: what one principal lets another do in its name, and for how long, as its own key signs it.

It starts from deny-all: what it does not name is not granted. It grants nothing that the policy does not grant to
whoever signed it, and nothing that the policy does not grant to whoever acts under it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from helm.contracts.errors import Invalid
from helm.contracts.form import Form, Noun
from helm.crypto import domains
from helm.crypto.canonical import record_bytes
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import PublicKey, SignatureInvalid, Signer
from helm.crypto.hashing import content_id, hash_in
from helm.guardian.cel import Program
from helm.guardian.intake import NAME

MAX_CAPABILITIES: Final = 64
"""Tools in one delegation: all of it stands in the facts of every call under it (T4)."""

MAX_CONDITION: Final = 1_000
"""Characters of a condition (T4)."""

MAX_TTL_MS: Final = 24 * 3600 * 1000
"""Longest life of a delegation, whatever its policy allows: what is stolen is soon worth nothing (T6)."""

SKEW_MS: Final = 60_000
"""How far the delegator's clock may be ahead of the kernel's."""

MAX_REASON: Final = 500

S256: Final = re.compile(r"[A-Za-z0-9_-]{43}")
NONCE: Final = re.compile(r"[0-9a-f]{32}")
HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")


class DelegationGrant(Noun, frozen=True, kw_only=True):
    """What a delegator's key signs.

    `capabilities` are conditions in CEL by tool, "" where there is none, in the order of the tools' names. `challenge`
    is the S256 of a PKCE verifier that only the delegate knows (RFC 7636 section 4.2). `nonce` is 32 hex digits, used
    once. The three `mfa_` fields say how the delegator proved to be there, "" and 0 where it did not.
    """

    capabilities: dict[str, str]
    challenge: str
    delegate: str
    delegator: str
    expires_at_ms: int
    issued_at_ms: int
    key_id: str
    log_id: str
    mfa_at_ms: int
    mfa_evidence_hash: str
    mfa_method: str
    nonce: str
    tenant: str

    def __post_init__(self) -> None:
        for name in (self.delegate, self.delegator, self.tenant, *self.capabilities):
            if NAME.fullmatch(name) is None:
                raise ValueError(f"not a name of 1 to 256 visible ASCII characters: {name[:40]!r}")
        if self.delegate == self.delegator:
            raise ValueError("nobody delegates to itself")
        if not 0 < len(self.capabilities) <= MAX_CAPABILITIES:
            raise ValueError(f"a delegation names 1 to {MAX_CAPABILITIES} tools")
        if [*self.capabilities] != sorted(self.capabilities):
            raise ValueError("the tools are not in the order of their names")
        if any(len(condition) > MAX_CONDITION for condition in self.capabilities.values()):
            raise ValueError(f"a condition is at most {MAX_CONDITION} characters")
        if S256.fullmatch(self.challenge) is None or NONCE.fullmatch(self.nonce) is None:
            raise ValueError("the challenge is 43 characters of base64url, the nonce 32 hex digits")
        if not 0 < self.expires_at_ms - self.issued_at_ms <= MAX_TTL_MS:
            raise ValueError(f"a delegation lives at most {MAX_TTL_MS // 3_600_000} hours")
        self._check_mfa()

    def _check_mfa(self) -> None:
        if (self.mfa_method == "") != (self.mfa_at_ms == 0) or (self.mfa_method == "") != (
            self.mfa_evidence_hash == ""
        ):
            raise ValueError("MFA evidence is a method, a time and a hash, or none of them")
        if self.mfa_method and (NAME.fullmatch(self.mfa_method) is None or not HASH.fullmatch(self.mfa_evidence_hash)):
            raise ValueError("MFA evidence is a method's name and a sha256: hash")


class DelegationRevocation(Noun, frozen=True, kw_only=True):
    """What ends a delegation before its time: signed by the key that gave it, or by an emergency key."""

    delegation_id: str
    issued_at_ms: int
    key_id: str
    log_id: str
    reason: str

    def __post_init__(self) -> None:
        if not 0 < len(self.reason) <= MAX_REASON or not self.reason.isprintable():
            raise ValueError(f"a revocation gives its reason, one line of at most {MAX_REASON} characters")


GRANT = Form(DelegationGrant)
REVOCATION = Form(DelegationRevocation)


def delegation_id(grant: DelegationGrant) -> str:
    """Return the name of a delegation, `dlg_` and 32 hex digits, after everything that was signed."""
    return content_id("dlg_", hash_in(domains.DELEGATION_NAME, grant_bytes(grant)))


def grant_bytes(grant: DelegationGrant) -> bytes:
    """Return the canonical bytes of a delegation."""
    return record_bytes(GRANT.body(grant))


def sign_grant(grant: DelegationGrant, signer: Signer) -> str:
    """Return the delegation key's signature, 128 hex digits, over the delegation."""
    return signer.sign(domains.DELEGATION, grant_bytes(grant))


def check_grant(grant: DelegationGrant, signature: str, key: PublicKey) -> None:
    """Raise Invalid unless `key` signed the delegation."""
    _check(lambda: key.verify(domains.DELEGATION, grant_bytes(grant), signature), "delegation")


def sign_revocation(revocation: DelegationRevocation, signer: Signer) -> str:
    """Return the signature, 128 hex digits, of a delegation or emergency key over the revocation."""
    return signer.sign(ends(signer.purpose), record_bytes(REVOCATION.body(revocation)))


def check_revocation(revocation: DelegationRevocation, signature: str, key: PublicKey, purpose: KeyPurpose) -> None:
    """Raise Invalid unless `key`, which is for `purpose`, signed the revocation."""
    said = record_bytes(REVOCATION.body(revocation))
    _check(lambda: key.verify(ends(purpose), said, signature), "revocation")


def ends(purpose: KeyPurpose) -> bytes:
    """Return the context line under which a key ends a delegation: whoever gave it one, the emergency key another."""
    return domains.DELEGATION_END if purpose is KeyPurpose.DELEGATION else domains.DELEGATION_STOP


def _check(verify: Callable[[], None], what: str) -> None:
    try:
        verify()
    except SignatureInvalid as problem:
        raise Invalid(str(problem), what, "sign it with the key that it names") from problem


def condition(source: str) -> Program:
    """Return a capability's condition, compiled. Raises Invalid for what is no expression of ours."""
    return Program.compile(source, "capabilities")


class Standing(Noun, frozen=True, kw_only=True):
    """What is known of the delegation that a call names: a fact of its World."""

    ended: str
    """Why it does not count any more, "" while it does."""
    grant: DelegationGrant
    used: bool
    """Whether a call with this sequence was let through before."""
