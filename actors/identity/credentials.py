"""Credentials: who is calling, by a key of HELM's own, by a token, or by the certificate of the connection."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from typing import Final

import attrs

from actors.identity.certificates import Presented
from actors.identity.holder import Holder, Unbelieved
from actors.identity.tokens import token_of
from actors.identity.trust import Trust, check_bound
from actors.keys.bearer import BearerKey, BearerKeys
from actors.process.clock import Clock
from helm.contracts.errors import Invalid
from helm.guardian.bearers import Bearers, Issued
from helm.guardian.policy import Policy

MAX_REMEMBERED: Final = 4096
"""Tokens of which it is known whose they are; the one that was not seen for longest makes room (T4)."""


@attrs.define(eq=False)
class Credentials:
    """Everyone who may come in. What a token says is remembered under its hash, for one policy, until it ends."""

    keys: BearerKeys
    policy: Callable[[], Policy]
    clock: Clock
    bearers: Bearers
    """What the log says of keys: it outweighs their file."""
    _edited: frozenset[str] = attrs.field(init=False)
    """Keys of which the file says something else than the log: whoever edits it widens none (T8)."""
    _trust: Trust | None = attrs.field(default=None, init=False, repr=False)
    _remembered: OrderedDict[tuple[bool, bytes], Holder] = attrs.field(factory=OrderedDict, init=False, repr=False)

    @_edited.default
    def _otherwise_in_the_log(self) -> frozenset[str]:
        issued = self.bearers.issued
        return frozenset(k.name for k in self.keys.issued if k.name in issued and terms(k) != terms(issued[k.name]))

    def holder(self, authorization: str, presented: Presented | None, *, at_mcp: bool = False) -> Holder:
        """Return who came with what is no key of HELM's own. Raises Unbelieved.

        An Authorization header is the credential where there is one: the certificate then only carries the connection,
        and a header that does not count is not made good by it.
        """
        trust, now_ms = self._trusted(), self.clock.now_ms()
        if not authorization:
            if presented is None:
                raise Unbelieved("a bearer key is needed")
            return self._certificate_holder(trust, presented, now_ms)
        if not is_bearer(authorization):
            raise Unbelieved("the header is no bearer key: write `authorization: Bearer KEY`")
        token = token_of(authorization)
        if not token or not (trust.issuers or trust.domains or (at_mcp and trust.at_mcp)):
            raise Unbelieved("no bearer key that opens this installation")
        try:
            holder = self._token_holder(trust, token, now_ms, at_mcp=at_mcp)
            check_bound(holder, presented)
        except Unbelieved as problem:
            raise Unbelieved(f"the token does not count: {problem}") from problem
        return holder

    def own(self, authorization: str | None) -> BearerKey | None:
        """Return whose key of HELM's own that is, None for no such key. Raises Unbelieved where it counts no more."""
        key = self.keys.find(authorization)
        if key is not None:
            self._check_own(key)
        return key

    def standing(self) -> tuple[BearerKey, ...]:
        """Return everyone whose key counts now."""
        return tuple(key for key in self.keys.everyone if self.counts(key))

    def check_still(self, key: BearerKey) -> None:
        """Raise Unbelieved where what somebody came with counts no more.

        It was taken back or has ended; and one that the policy vouched for ends with that policy.
        """
        if not isinstance(key, Holder):
            self._check_own(key)
            return
        if self.clock.now_ms() >= key.until_ms:
            raise Unbelieved("the credential has ended")
        if self.policy().policy_hash != key.policy_hash:
            raise Unbelieved("the policy has changed: come again with the credential")

    def counts(self, key: BearerKey) -> bool:
        """Tell whether what somebody came with counts still."""
        try:
            self.check_still(key)
        except Unbelieved:
            return False
        return True

    def _check_own(self, key: BearerKey) -> None:
        if key.name in self.bearers.revoked:
            raise Unbelieved("the bearer key was revoked")
        if not key.counts_at(self.clock.now_ms()):
            raise Unbelieved("the bearer key has expired")
        if key.name in self._edited:
            raise Unbelieved("the file of bearer keys says of this key what the log does not")

    def _certificate_holder(self, trust: Trust, presented: Presented, now_ms: int) -> Holder:
        holder = presented.holder
        if holder is None or holder.policy_hash != trust.policy.policy_hash or now_ms >= holder.until_ms:
            presented.holder = None
            presented.holder = holder = trust.certificate_holder(presented, now_ms)
        return holder

    def _token_holder(self, trust: Trust, token: str, now_ms: int, *, at_mcp: bool) -> Holder:
        name = (at_mcp, sha256(token.encode()).digest())
        holder = self._remembered.get(name)
        if holder is not None and now_ms < holder.until_ms:
            self._remembered.move_to_end(name)
            return holder
        self._remembered.pop(name, None)
        holder = trust.token_holder(token, now_ms, at_mcp=at_mcp)
        self._remembered[name] = holder
        if len(self._remembered) > MAX_REMEMBERED:
            self._remembered.popitem(last=False)
        return holder

    def _trusted(self) -> Trust:
        """Return what the policy in force trusts; what was remembered under another is forgotten."""
        policy = self.policy()
        if self._trust is None or self._trust.policy is not policy:
            self._remembered.clear()
            try:
                self._trust = Trust.of(policy)
            except Invalid as problem:  # plugging in such a policy is refused: one that got round it lets nobody in
                raise Unbelieved("the policy's keys cannot be used") from problem
        return self._trust


def is_bearer(authorization: str) -> bool:
    """Tell whether a header has the form of a bearer's, whatever stands in it (RFC 6750 section 2.1)."""
    scheme, _, rest = authorization.partition(" ")
    return scheme.lower() == "bearer" and rest != ""


def terms(key: BearerKey | Issued) -> tuple[object, ...]:
    """Return what a key opens, and until when."""
    return key.key_class, key.tenant, key.principal, key.scope, key.expires_at_ms
