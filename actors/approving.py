"""What the kernel does for approvers: put a challenge to a key, and show what is to be decided."""

from __future__ import annotations

from functools import partial
from typing import Any

import attrs

from actors.commands.approvals import Assert, PutChallenge
from actors.kernel import Kernel
from actors.keys.hsm import sign_aside
from helm.contracts.approval import Assertion, Challenge
from helm.contracts.errors import Invalid
from helm.contracts.form import JSONValue, members
from helm.guardian.ceremony import CHALLENGE_TTL_MS, Asked, Ceremony, phrase, sign_challenge


@attrs.frozen(eq=False)
class Approving:
    """One kernel's ceremonies."""

    kernel: Kernel

    def find(self, approval_id: str) -> Ceremony:
        """Return a ceremony that is in the log. Raises Invalid."""
        return self.kernel.memory.approvals.find(approval_id)

    async def show(self, approval_id: str) -> dict[str, JSONValue]:
        """Return a ceremony with what it is about: the very arguments, from the facts in the log. Raises Invalid."""
        ceremony = self.find(approval_id)
        return told(ceremony) | {"arguments": await self._arguments(ceremony), "log_id": self.kernel.parts.boot.log_id}

    async def challenge(self, approval_id: str, key_id: str, action: str) -> dict[str, JSONValue]:
        """Put a challenge to a key, and return it with what is to be shown and retyped. Raises Invalid.

        The challenge under way of a key is put again as it was, so that asking twice costs nothing (T4).
        """
        ceremony = self.find(approval_id)
        under_way = is_under_way(ceremony.asked.get(key_id), action, self.kernel.parts.clock.now_ms())
        if not under_way:
            await self._put(ceremony, key_id, action)
        challenge, signature = self.kernel.memory.approvals.put[approval_id, key_id]
        return {
            "approval": await self.show(approval_id),
            "challenge": members(challenge),
            "phrase": phrase(action, ceremony.tool, ceremony.intent_hash),
            "signature": signature,
        }

    async def _put(self, ceremony: Ceremony, key_id: str, action: str) -> None:
        """Put a new challenge; where another key's came first, the next one. Raises Invalid."""
        registry = self.kernel.parts.state.registry
        while True:
            challenge = self._new(ceremony, key_id, action)
            pen = self.kernel.parts.pen
            signature = await sign_aside(pen, partial(sign_challenge, challenge, pen))
            try:
                await self.kernel.command(PutChallenge(challenge, signature, registry))
            except Invalid:
                ceremony = self.find(ceremony.approval_id)
                if ceremony.challenges < challenge.sequence:
                    raise
            else:
                return

    def _new(self, ceremony: Ceremony, key_id: str, action: str) -> Challenge:
        parts = self.kernel.parts
        now_ms = parts.clock.now_ms()
        return Challenge(
            action=action,
            approval_id=ceremony.approval_id,
            args_hash=ceremony.args_hash,
            expires_at_ms=now_ms + CHALLENGE_TTL_MS,
            intent_hash=ceremony.intent_hash,
            issued_at_ms=now_ms,
            key_id=key_id,
            log_id=parts.boot.log_id,
            p0_ceiling_hash=ceremony.p0_ceiling_hash,
            policy_bundle_hash=ceremony.policy_hash,
            sequence=ceremony.challenges + 1,
            signed_by=parts.pen.key_id,
        )

    async def say(self, assertion: Assertion, signature: str, ceremony_hash: str) -> Ceremony:
        """Have the guardian take what an approver signed; return the ceremony as it stands then.

        Raises Stale where the ceremony is not as `ceremony_hash` names it, Invalid for what is not possible.
        """
        registry = self.kernel.parts.state.registry
        await self.kernel.command(Assert(assertion, signature, ceremony_hash, registry))
        return self.find(assertion.approval_id)

    async def _arguments(self, ceremony: Ceremony) -> JSONValue:
        """Return the arguments as the log keeps them beside the refusal: whoever reads them checks their hash."""
        library = self.kernel.library
        seq = await library.find(ceremony.record_id)
        facts: dict[str, Any] = {} if seq is None else (await library.entry(seq))["beside"].get("facts", {})
        return facts.get("call", {}).get("arguments")


def is_under_way(asked: Asked | None, action: str, now_ms: int) -> bool:
    """Tell whether a key has a challenge for this action that it can still answer."""
    return asked is not None and asked.action == action and now_ms < asked.expires_at_ms


def told(ceremony: Ceremony) -> dict[str, JSONValue]:
    """Return the ceremony as approvers read it."""
    more = {"ceremony_hash": ceremony.ceremony_hash, "record_id": ceremony.record_id, "unlocked": ceremony.unlocked}
    return ceremony.body() | more
