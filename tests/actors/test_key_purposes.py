"""A key stolen for one thing buys one thing: every signed object is refused under a key of each other purpose.

The thief has the bytes of a key that counts in this log, ignores what it is for, and signs everything else with it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from actors.commands.command import Command
from actors.commands.delegation import BindDelegation
from actors.commands.freeze import Freeze
from actors.commands.policy import ActivatePolicy
from actors.commands.relations import ChangeRelations
from actors.commands.servers import CommandServer
from actors.commands.trust import ChangeTrust
from actors.installation import KEYS
from actors.kernel import Kernel
from actors.policy_file import sign_text
from helm.contracts.errors import Invalid
from helm.crypto.domains import KeyPurpose
from helm.crypto.ed25519 import SEED_BYTES, SigningKey
from helm.evidence.signed import check_signed
from helm.guardian.delegation import sign_grant
from helm.guardian.freezes import FreezeCommand, sign_command
from helm.guardian.relations import RelationsCommand, sign_relations
from helm.guardian.servers import REVOKE, ServerCommand, sign_server_command
from helm.receipts.chain import seal
from helm.trust.event import EventKind, KeyChange, sign_event
from helm.trust.registry import Registry
from tests.actors.delegating import grant
from tests.actors.kit import House
from tests.actors.policies import with_epoch

Thief = Callable[[Kernel, House, SigningKey], Command]


def registry_of(kernel: Kernel) -> Registry:
    registry = kernel.parts.state.registry
    assert registry is not None
    return registry


def freeze(kernel: Kernel, house: House, key: SigningKey) -> Command:
    one = FreezeCommand(
        action="freeze",
        issued_at_ms=1,
        key_id=key.key_id,
        log_id=house.place.log_id,
        reason="r",
        scope="global",
        sequence=1,
        target="",
    )
    return Freeze(one, sign_command(one, key), registry_of(kernel))


def server(kernel: Kernel, house: House, key: SigningKey) -> Command:
    one = ServerCommand(
        action=REVOKE,
        expires_at_ms=0,
        issued_at_ms=1,
        key_id=key.key_id,
        log_id=house.place.log_id,
        pins_hash="",
        reason="r",
        sequence=1,
        server_id="s",
    )
    return CommandServer(one, sign_server_command(one, key), registry_of(kernel))


def delegation(kernel: Kernel, house: House, key: SigningKey) -> Command:
    one = grant(house.place, house.clock.now_ms(), key_id=key.key_id)
    return BindDelegation(one, sign_grant(one, key), registry_of(kernel))


def policy(kernel: Kernel, house: House, key: SigningKey) -> Command:
    return ActivatePolicy(sign_text(with_epoch(9), "test policy", key), registry_of(kernel), lambda: None)


def trust_event(kernel: Kernel, house: House, key: SigningKey) -> Command:
    new = SigningKey.from_seed(b"n" * SEED_BYTES, KeyPurpose.EXECUTION)
    change = KeyChange(
        key_id=new.key_id,
        kind=EventKind.KEY_ADDED.value,
        public_key=new.public_key,
        purpose=new.purpose.value,
        reason="r",
    )
    event = sign_event(change, registry_of(kernel).place, 1, key)
    return ChangeTrust(event, registry_of(kernel), kernel.parts.pen.key_id)


def relations(kernel: Kernel, house: House, key: SigningKey) -> Command:
    one = RelationsCommand(
        add=(),
        issued_at_ms=1,
        key_id=key.key_id,
        log_id=house.place.log_id,
        model_id="",
        remove=(),
        sequence=1,
    )
    return ChangeRelations(one, sign_relations(one, key), registry_of(kernel))


OBJECTS: dict[str, tuple[KeyPurpose, Thief]] = {
    "freeze": (KeyPurpose.EMERGENCY, freeze),
    "server command": (KeyPurpose.APPROVAL, server),
    "delegation": (KeyPurpose.DELEGATION, delegation),
    "policy": (KeyPurpose.POLICY, policy),
    "relations": (KeyPurpose.POLICY, relations),
    "trust event": (KeyPurpose.TRUST_ADMIN, trust_event),
}


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House.build(tmp_path)


@pytest.fixture
async def kernel(house: House) -> AsyncIterator[Kernel]:
    async with house.kernel() as kernel:
        yield kernel


def stolen(house: House, of: KeyPurpose, used_for: KeyPurpose) -> SigningKey:
    """The key of one purpose in the hands of somebody who signs for another."""
    key: Any = house.place.key(of)
    thief = SigningKey.from_seed(key._secret[:SEED_BYTES], used_for)
    assert thief.key_id == key.key_id
    return thief


@pytest.mark.parametrize("name", OBJECTS)
async def test_no_key_of_another_purpose_signs(house: House, kernel: Kernel, name: str) -> None:
    purpose, make = OBJECTS[name]
    before = registry_of(kernel).snapshot()
    for other in KEYS:
        if other is not purpose:
            with pytest.raises(Invalid, match=f"for {other}|may not sign trust events"):
                await kernel.command(make(kernel, house, stolen(house, other, purpose)))
    assert registry_of(kernel).snapshot() == before
    assert kernel.memory.freezes.in_force == set()


async def test_no_key_of_another_purpose_signs_receipts(house: House, kernel: Kernel) -> None:
    sealed = (await kernel.call("read", {})).receipt
    registry = registry_of(kernel)
    check_signed(sealed, registry, registry.lamport + 1, "receipt")
    for other in KEYS:
        if other is not KeyPurpose.EXECUTION:
            thief = stolen(house, other, KeyPurpose.EXECUTION)
            forged = seal(sealed.content.but(key_id=thief.key_id), thief)
            with pytest.raises(Invalid, match=f"for {other}"):
                check_signed(forged, registry, registry.lamport + 1, "receipt")


@pytest.mark.parametrize("asked", KEYS)
def test_the_registry_gives_a_key_for_its_own_purpose_alone(house: House, asked: KeyPurpose) -> None:
    registry = house.place.registry()
    for purpose in KEYS:
        key_id = house.place.key(purpose).key_id
        if purpose is asked:
            assert registry.require(key_id, asked, registry.lamport + 1).key_id == key_id
        else:
            with pytest.raises(Invalid, match=f"for {purpose}, not for {asked}"):
                registry.require(key_id, asked, registry.lamport + 1)
