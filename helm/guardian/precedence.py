"""What stands above and below a bundle: the P0 ceilings in force and the P2 overlays, folded from the journal.

A bundle may lower ceilings at once. What it raises waits for the timelock that the ceilings in force ask, on the
kernel's clock; until then the lower of both holds, of each ceiling on its own, so that no raise hides in a change
that lowers others (T7, T8). Stating something else begins the wait anew.
"""

from __future__ import annotations

import re
from typing import Final

import attrs

from helm.contracts.errors import Invalid
from helm.contracts.form import Form, Noun
from helm.crypto import domains
from helm.crypto.canonical import ordered_bytes
from helm.crypto.ed25519 import PublicKey, SignatureInvalid, Signer
from helm.guardian.ceilings import MAX_BUDGETS, Ceilings, joined
from helm.guardian.narrowing import set_document, set_hash
from helm.guardian.overlays import MAX_REASON, Overlays

HASH: Final = re.compile(r"sha256:[0-9a-f]{64}")


class RaiseCancel(Noun, frozen=True, kw_only=True):
    """What a policy key signs to give up a raise that waits: this one, by its ceilings and its hour."""

    due_at_ms: int
    issued_at_ms: int
    key_id: str
    log_id: str
    p0_ceiling_hash: str
    reason: str

    def __post_init__(self) -> None:
        if not 0 < len(self.reason) <= MAX_REASON or not self.reason.isprintable():
            raise ValueError(f"it gives its reason, in one line of at most {MAX_REASON} characters")
        if HASH.fullmatch(self.p0_ceiling_hash) is None:
            raise ValueError("the ceilings are named by their hash")


RAISE_CANCEL = Form(RaiseCancel)


def sign_cancel(cancel: RaiseCancel, signer: Signer) -> str:
    """Return the policy key's signature, 128 hex digits, over the command."""
    return signer.sign(domains.P0_RAISE, ordered_bytes(cancel))


def check_cancel(cancel: RaiseCancel, signature: str, key: PublicKey) -> None:
    """Raise Invalid unless `key` signed `cancel`."""
    try:
        key.verify(domains.P0_RAISE, ordered_bytes(cancel), signature)
    except SignatureInvalid as problem:
        raise Invalid(str(problem), "cancel", "sign it with the policy key of this log") from problem


@attrs.frozen(kw_only=True)
class Stated:
    """What an activation says of ceilings."""

    policy_hash: str
    p0_ceiling_hash: str
    ceilings: Ceilings


@attrs.frozen(kw_only=True)
class Precedence:
    """The layers around the active bundle. It is never changed: each change returns the next one."""

    stated: Stated | None = None
    """What the active bundle states, None before any was activated."""
    in_force: Ceilings | None = None
    due_at_ms: int = 0
    """When what is stated comes into force, 0 where nothing waits: it is in force, or was given up."""
    overlays: Overlays = attrs.field(factory=Overlays)

    @property
    def held(self) -> Ceilings | None:
        """The ceilings in force where they are lower than the bundle's own."""
        stated = self.stated
        return None if stated is None or self.in_force == stated.ceilings else self.in_force

    def activated(self, stated: Stated, at_ms: int) -> Precedence:
        """Return what a newer bundle comes to, activated at `at_ms`. Raises Invalid."""
        had = self.in_force
        if had is None or stated.ceilings.within(had):
            return attrs.evolve(self, stated=stated, in_force=stated.ceilings, due_at_ms=0)
        waits = self.due_at_ms and self.stated is not None and self.stated.p0_ceiling_hash == stated.p0_ceiling_hash
        due_at_ms = self.due_at_ms if waits else at_ms + had.increase_timelock_s * 1000
        both = joined(had, stated.ceilings)
        if len(both.budgets) > MAX_BUDGETS:
            raise Invalid(
                f"more than {MAX_BUDGETS} windows", "p0.window_s", "wait until the raise before it is in force"
            )
        return attrs.evolve(self, stated=stated, in_force=both, due_at_ms=due_at_ms)

    def raised(self, at_ms: int) -> Precedence:
        """Return what comes of a raise whose time has come. Raises Invalid where it has not, or nothing waits."""
        if not self.due_at_ms or at_ms < self.due_at_ms or self.stated is None:
            raise Invalid("no raise of a ceiling is due", "p0", "its timelock is the kernel's to end")
        return attrs.evolve(self, in_force=self.stated.ceilings, due_at_ms=0)

    def cancelled(self, cancel: RaiseCancel) -> Precedence:
        """Return what comes of giving a raise up. Raises Invalid unless it is the one that waits."""
        waits = self.stated is not None and cancel.p0_ceiling_hash == self.stated.p0_ceiling_hash
        if not self.due_at_ms or cancel.due_at_ms != self.due_at_ms or not waits:
            raise Invalid("it is about another raise than the one that waits", "cancel", "helm policy show")
        return attrs.evolve(self, due_at_ms=0)

    def policy_hash(self, tenant: str, principals: tuple[str, ...]) -> str:
        """Return the policy_hash that a decision about these principals must bear, "" before any activation."""
        if self.stated is None:
            return ""
        if self.held is None and not self.overlays.in_force:
            return self.stated.policy_hash
        if self.held is None and not self.overlays.hashes(tenant, principals):
            return self.stated.policy_hash
        return set_hash(self.set_document(tenant, principals))

    def set_document(self, tenant: str, principals: tuple[str, ...]) -> bytes:
        """Return the set of all that binds these principals."""
        bundle = "" if self.stated is None else self.stated.policy_hash
        held = self.held
        return set_document(bundle, self.overlays.hashes(tenant, principals), {} if held is None else held.document())
