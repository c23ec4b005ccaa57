"""Approvers for the tests: people with keys of their own, who look before they sign, or do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import attrs

from actors.approving import Approving
from actors.installation import GENESIS_FILE, Installation
from actors.kernel import Kernel
from actors.keys import keyfile
from actors.process import durable
from helm.contracts.approval import CHALLENGED, Assertion, Challenge
from helm.contracts.form import noun_of
from helm.crypto.canonical import record_bytes
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import Signer
from helm.guardian.answering import Said, answer
from helm.guardian.ceremony import Ceremony, phrase
from helm.trust.event import EventKind, KeyChange, sign_event, to_body
from tests.actors.kit import NOON_MS, House
from tests.actors.policies import POLICY

NAMES: Final = ("alice", "bob", "carol")


@attrs.frozen
class Approver:
    """Somebody with a key, and what they do with it."""

    name: str
    key: Signer

    def sign(
        self, offer: dict[str, Any], action: str = "approve", *, reason_code: str = "", reason: str = "looks right"
    ) -> tuple[Assertion, str]:
        """Retype what is shown, and sign."""
        shown = offer["approval"]
        typed = phrase(action, shown["tool"], shown["intent_hash"])
        challenge = (noun_of(Challenge, offer["challenge"]), offer["signature"]) if "challenge" in offer else None
        return answer(
            Said(action=action, reason=reason, reason_code=reason_code, typed=typed), shown, challenge, self.key
        )

    async def offered(self, kernel: Kernel, approval_id: str, action: str = "approve") -> dict[str, Any]:
        """Ask a kernel for what is to be signed."""
        approving = Approving(kernel)
        if action in CHALLENGED:
            return await approving.challenge(approval_id, self.key.key_id, action)
        return {"approval": await approving.show(approval_id)}

    async def say(self, kernel: Kernel, approval_id: str, action: str = "approve", **more: str) -> Ceremony:
        """Ask, sign and have it taken."""
        offer = await self.offered(kernel, approval_id, action)
        return await Approving(kernel).say(*self.sign(offer, action, **more), offer["approval"]["ceremony_hash"])


@attrs.frozen
class Panel:
    """A house with three approvers, whose keys its genesis adds."""

    house: House
    alice: Approver
    bob: Approver
    carol: Approver

    @classmethod
    def seat(cls, house: House) -> Panel:
        """Give the house three more approval keys, before its log begins."""
        keys = [add_key(house, KeyPurpose.APPROVAL, name) for name in NAMES]
        return cls(house, *(Approver(name, key) for name, key in zip(NAMES, keys, strict=True)))

    @property
    def emergency(self) -> Approver:
        """Whoever holds the emergency key."""
        return Approver("nobody", self.house.place.emergency_key())

    def policy(self, rule: str = "quorum = 2", *, epoch: int = 7) -> str:
        """Return the test policy with these approvers, and `rule` in the approval rule of the tool `asking`."""
        table = "".join(f'\n[approvers.{one.name}]\nkeys = ["{one.key.key_id}"]\n' for one in self.all)
        asking = f"approval = {{ required = true, expires_s = 600, {rule} }}"
        text = POLICY.replace("approval = { required = true, expires_s = 600 }", asking, 1)
        return text.replace("epoch = 7", f"epoch = {epoch}").replace("\n[p0]", f"{table}\n[p0]", 1)

    @property
    def all(self) -> tuple[Approver, ...]:
        """All three."""
        return (self.alice, self.bob, self.carol)


def add_key(house: House, purpose: KeyPurpose, name: str) -> Signer:
    """Make a key of `purpose`, and let the genesis of the house add it."""
    key = keyfile.write_new(house.path / f"{name}.pem", purpose)
    place, registry = house.place, house.place.registry()
    change = KeyChange(
        kind=EventKind.KEY_ADDED.value,
        key_id=key.key_id,
        public_key=key.public_key,
        purpose=purpose.value,
        reason=f"the key of {name}",
    )
    event = sign_event(change, registry.place, NOON_MS, place.trust_admin_key())
    body = {"events": [to_body(one) for one in (*place.genesis, event)], "log_id": place.log_id}
    durable.replace(house.path / GENESIS_FILE, record_bytes(body) + b"\n")
    house.place = Installation.open(Path(house.path))
    return key
