"""Delegation sessions on a running kernel: nobody gets more than the delegator has, and no call is made twice."""

from __future__ import annotations

from functools import partial
from typing import Any

import attrs
import pytest
import trio

from actors.commands.delegation import BindDelegation, RevokeDelegation
from actors.commands.trust import ChangeTrust
from actors.kernel import Kernel
from actors.mailbox import Answer
from helm.contracts.errors import Invalid
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Status
from helm.crypto.canonical import canonical, parse
from helm.crypto.ed25519 import Signer
from helm.guardian.chain import CHAIN
from helm.guardian.delegation import DelegationGrant, DelegationRevocation, delegation_id, sign_revocation
from helm.guardian.facts import read_facts
from helm.guardian.intake import Terms
from helm.trust.event import EventKind, KeyChange, sign_event
from tests.actors.delegating import grant, policy_of, signature, under
from tests.actors.kit import House, Told, settle
from tests.actors.policies import with_epoch
from tests.actors.puppet import Hold, Puppet
from tests.actors.test_kernel_commands import freeze_of

pytestmark = pytest.mark.every_store

DAY_MS = 86_400_000


@pytest.fixture
def house(tmp_path: Any) -> House:
    return House.build(tmp_path)


async def bind(kernel: Kernel, house: House, one: DelegationGrant, signed: str = "") -> None:
    """Bind a delegation."""
    registry = kernel.parts.state.registry
    await kernel.command(BindDelegation(one, signed or signature(one, house.place), registry))


async def call(
    kernel: Kernel, terms: Terms, tool: str = "read", arguments: Any = None, principal: str = "delegate"
) -> Answer:
    """Call a tool as a delegate."""
    return await kernel.call(
        tool, arguments or {}, tenant="default", principal=principal, session=f"of-{principal}", terms=terms
    )


def given(house: House, **changes: Any) -> DelegationGrant:
    """Return a delegation that is good now, unless changed."""
    return grant(house.place, house.clock.now_ms(), **changes)


async def test_a_delegate_does_what_it_was_given_and_nothing_else(house: House) -> None:
    one, puppet = given(house), Puppet()
    async with house.kernel(puppet, policy=policy_of(house.place)) as kernel:
        await bind(kernel, house, one)
        answer = await call(kernel, under(one, 1))
        other = await call(kernel, under(one, 2), "write")
        without = await call(kernel, Terms())
        found = await kernel.library.story(answer.receipt.receipt_id)
    assert answer.allowed
    assert (other.reason_code, without.reason_code) == (
        ReasonCode.DELEGATION_SCOPE_VIOLATION,
        ReasonCode.DELEGATION_INVALID,
    )
    assert found is not None
    assert found["decision"]["delegation_id"] == delegation_id(one)
    assert found["decision"]["delegation_sequence"] == 1
    assert len(puppet.orders) == 1


async def test_a_call_of_a_delegate_is_made_once_also_after_a_restart(house: House) -> None:
    one, text = given(house), policy_of(house.place)
    async with house.kernel(policy=text) as kernel:
        await bind(kernel, house, one)
        assert (await call(kernel, under(one, 7))).allowed
        assert (await call(kernel, under(one, 5))).allowed  # calls overtake each other
        assert (await call(kernel, under(one, 7))).reason_code == ReasonCode.DELEGATION_INVALID
        lived = kernel.memory.delegations
    async with house.kernel(policy=text) as kernel:
        assert (await call(kernel, under(one, 7))).reason_code == ReasonCode.DELEGATION_INVALID
        assert (await call(kernel, under(one, 5))).reason_code == ReasonCode.DELEGATION_INVALID
        assert kernel.memory.delegations == lived
        assert (await call(kernel, under(one, 6))).allowed


async def test_a_refused_guess_burns_no_sequence(house: House) -> None:
    one = given(house)
    async with house.kernel(policy=policy_of(house.place)) as kernel:
        await bind(kernel, house, one)
        hijacked = await call(kernel, under(one, 1, verifier="a guess"))
        stolen = await call(kernel, under(one, 1), principal="intruder")
        answer = await call(kernel, under(one, 1))
    assert hijacked.reason_code == ReasonCode.DELEGATION_INVALID
    assert stolen.reason_code == ReasonCode.DELEGATION_PRINCIPAL_MISMATCH
    assert answer.allowed


async def test_another_tenant_does_not_even_learn_that_there_is_one(house: House) -> None:
    one = given(house)
    async with house.kernel(policy=policy_of(house.place)) as kernel:
        await bind(kernel, house, one)
        answer = await kernel.call("read", {}, tenant="other", principal="delegate", session="s", terms=under(one))
    assert (answer.reason_code, answer.reason) == (
        ReasonCode.DELEGATION_INVALID,
        "no such delegation session is bound here",
    )


async def test_a_condition_holds_at_every_call(house: House) -> None:
    one = given(house, capabilities={"pay": "args.amount <= 100", "read": "args.nothing == 1"})
    async with house.kernel(policy=policy_of(house.place)) as kernel:
        await bind(kernel, house, one)
        little = await call(kernel, under(one, 1), "pay", {"amount": 100})
        much = await call(kernel, under(one, 2), "pay", {"amount": 101})
        odd = await call(kernel, under(one, 3), "read", {})
    assert little.allowed
    assert much.reason_code == odd.reason_code == ReasonCode.DELEGATION_SCOPE_VIOLATION


async def test_a_session_ends_with_its_time_and_a_clock_set_back_does_not_begin_it_early(house: House) -> None:
    one = given(house)
    async with house.kernel(policy=policy_of(house.place)) as kernel:
        await bind(kernel, house, one)
        house.clock.advance(-120)
        early = await call(kernel, under(one, 1))
        house.clock.advance(120 + 900)
        late = await call(kernel, under(one, 2))
    assert early.reason_code == late.reason_code == ReasonCode.DELEGATION_INVALID


def widened(house: House) -> list[tuple[dict[str, Any], str]]:
    """Return delegations of what the delegator does not have, or may not give."""
    now_ms = house.clock.now_ms()
    return [
        ({"capabilities": {"private": ""}}, "may not use private itself"),
        ({"capabilities": {"nobody.declared.this": ""}}, "may not use nobody.declared.this itself"),
        ({"capabilities": {"shell.run": ""}}, "P0 ceiling"),
        ({"capabilities": {"secret": ""}}, "does not hold the credential"),
        ({"capabilities": {"read": "args."}}, "capabilities"),
        ({"delegator": "delegate", "delegate": "another"}, "is not one of delegate's"),
        ({"delegator": "agent"}, "is not one of agent's"),
        ({"log_id": "sha256:another"}, "another log"),
        ({"issued_at_ms": now_ms - 2000, "expires_at_ms": now_ms - 1000}, "not in force"),
        ({"issued_at_ms": now_ms + 61_000}, "not in force"),
    ]


@pytest.mark.parametrize("number", range(10))
async def test_a_delegation_of_more_than_one_has_is_not_bound(house: House, number: int) -> None:
    changes, why = widened(house)[number]
    one = given(house, **changes)
    async with house.kernel(policy=policy_of(house.place)) as kernel:
        with pytest.raises(Invalid) as refused:
            await bind(kernel, house, one)
        assert kernel.memory.delegations.bound == {}
    assert why in str(refused.value)


async def test_a_delegation_that_nobody_entitled_signed_is_not_bound(house: House) -> None:
    one = given(house)
    async with house.kernel(policy=policy_of(house.place)) as kernel:
        with pytest.raises(Invalid):
            await bind(kernel, house, one, "00" * 64)
        emergency = one.but(key_id=house.place.emergency_key().key_id)
        with pytest.raises(Invalid, match="is for emergency"):
            await bind(kernel, house, emergency)
        await bind(kernel, house, one)
        with pytest.raises(Invalid, match="nonce"):
            await bind(kernel, house, one)


async def test_what_the_policy_takes_from_the_delegator_it_takes_from_the_delegate(house: House) -> None:
    one = given(house, capabilities={"read": "", "strict": ""})
    before = policy_of(house.place)
    read = '[tools.read]\nconnector = "local"\neffect_type = "read"\nrisk_tier = "T1"\nprincipals = ["*"]'
    assert read in with_epoch(8)
    narrower = policy_of(house.place, with_epoch(8).replace(read, read.replace("*", "delegate")))
    async with house.kernel(policy=before) as kernel:
        await bind(kernel, house, one)
        assert (await call(kernel, under(one, 1))).allowed
    async with house.kernel(policy=narrower) as kernel:
        answer = await call(kernel, under(one, 2))
    assert (answer.reason_code, answer.reason) == (
        ReasonCode.DELEGATION_SCOPE_VIOLATION,
        "the policy does not let the delegator use this tool",
    )
    async with house.kernel(policy=with_epoch(9)) as kernel:
        unknown = await call(kernel, under(one, 3))
    assert unknown.reason_code == ReasonCode.DELEGATION_INVALID


async def test_mfa_evidence_is_asked_for_where_the_policy_says_so(house: House) -> None:
    now_ms, text = house.clock.now_ms(), policy_of(house.place, more="delegation_mfa = true\n")
    evidence = {"mfa_method": "webauthn", "mfa_evidence_hash": "sha256:" + "a" * 64}
    async with house.kernel(policy=text) as kernel:
        for stale in (given(house), given(house, mfa_at_ms=now_ms - 300_001, **evidence)):
            with pytest.raises(Invalid, match="MFA"):
                await bind(kernel, house, stale)
        await bind(kernel, house, given(house, mfa_at_ms=now_ms - 1000, **evidence))


def ending(house: House, one: DelegationGrant, key: Signer, **changes: Any) -> RevokeDelegation:
    """Return a signed revocation."""
    fields: dict[str, Any] = {
        "delegation_id": delegation_id(one),
        "issued_at_ms": house.clock.now_ms(),
        "key_id": key.key_id,
        "log_id": house.place.log_id,
        "reason": "over",
    }
    command = DelegationRevocation(**fields | changes)
    return RevokeDelegation(command, sign_revocation(command, key), house.place.registry())


@pytest.mark.parametrize("by", ["delegation_key", "emergency_key"])
async def test_a_revoked_session_is_over_at_once_and_for_ever(house: House, by: str) -> None:
    one, text, key = given(house), policy_of(house.place), getattr(house.place, by)()
    async with house.kernel(policy=text) as kernel:
        await bind(kernel, house, one)
        await kernel.command(ending(house, one, key))
        assert (await call(kernel, under(one, 1))).reason_code == ReasonCode.DELEGATION_INVALID
        with pytest.raises(Invalid, match="has ended"):
            await kernel.command(ending(house, one, key))
    async with house.kernel(policy=text) as kernel:
        answer = await call(kernel, under(one, 1))
        assert answer.reason == "the delegation session has ended: over"
        with pytest.raises(Invalid, match="nonce"):
            await bind(kernel, house, one)


async def test_a_revocation_for_another_log_ends_nothing(house: House) -> None:
    one = given(house)
    async with house.kernel(policy=policy_of(house.place)) as kernel:
        await bind(kernel, house, one)
        with pytest.raises(Invalid, match="another log"):
            await kernel.command(ending(house, one, house.place.delegation_key(), log_id="sha256:another"))
        assert (await call(kernel, under(one, 1))).allowed


@pytest.mark.parametrize("what", ["signature", "tools", "id"])
async def test_a_delegation_that_was_edited_in_the_journal_starts_no_kernel(house: House, what: str) -> None:
    one = given(house)
    async with house.kernel(policy=policy_of(house.place)) as kernel:
        await bind(kernel, house, one)
    house.disk = attrs.evolve(house.disk, rows=[edited(row, what) for row in house.disk.rows])
    with pytest.raises(Invalid):
        await house.read_simulated()


def edited(row: bytes, what: str) -> bytes:
    """Return a row in which a delegation says something else, where it is one."""
    if b"DELEGATION_BOUND" not in row:
        return row
    if what == "tools":
        return row.replace(b'{"read":""}', b'{"pays":""}')
    name = b'"signature":"' if what == "signature" else b'"delegation_id":"dlg_'
    at = row.index(name, row.index(b'"grant"') if what == "signature" else 0) + len(name)
    return row[:at] + (b"0" if row[at : at + 1] != b"0" else b"1") + row[at + 1 :]


async def test_a_call_of_a_delegate_can_be_judged_again_from_its_facts(house: House) -> None:
    """The world of a call holds the whole delegation: whoever replays it asks nobody else."""
    one, text = given(house, capabilities={"pay": "args.amount <= 100"}), policy_of(house.place)
    async with house.kernel(policy=text) as kernel:
        await bind(kernel, house, one)
        for number, amount in enumerate((100, 101), 1):
            await call(kernel, under(one, number), "pay", {"amount": amount})
    policy, judged = house.sign(text).policy, []
    for row in house.disk.rows:
        entry = parse(row)
        if "facts" in entry["beside"]:
            again = CHAIN.evaluate(*read_facts(canonical(entry["beside"]["facts"]), policy, "test")).decision
            judged.append(again.content.delegation_sequence)
            assert entry["node"]["payload"]["decision"]["decision_id"] == again.id
    assert judged == [1, 0]


async def test_a_revoked_key_ends_what_it_gave_in_the_running_kernel_as_at_the_next_start(house: House) -> None:
    one, key = given(house), house.place.delegation_key()
    async with house.kernel(Puppet(), policy=policy_of(house.place)) as kernel:
        await bind(kernel, house, one)
        registry = kernel.parts.state.registry
        assert registry is not None
        change = KeyChange(
            key_id=key.key_id,
            kind=EventKind.KEY_REVOKED.value,
            public_key=key.public_key,
            purpose=key.purpose.value,
            reason="stolen",
        )
        event = sign_event(change, registry.place, house.clock.now_ms(), house.place.trust_admin_key())
        await kernel.command(ChangeTrust(event, registry, kernel.parts.pen.key_id))
        live = await call(kernel, under(one, 1))
    async with house.kernel(Puppet(), policy=policy_of(house.place)) as kernel:
        later = await call(kernel, under(one, 2))
    assert (live.reason_code, later.reason_code) == (ReasonCode.DELEGATION_INVALID, ReasonCode.DELEGATION_INVALID)


async def test_nobody_acts_in_the_name_of_a_killed_agent(house: House, autojump_clock: trio.testing.MockClock) -> None:
    one, hold, told = given(house), Hold(), Told()
    puppet = Puppet(deed=hold)
    async with house.kernel(puppet, policy=policy_of(house.place)) as kernel, trio.open_nursery() as nursery:
        await bind(kernel, house, one)
        nursery.start_soon(told.ask, partial(call, kernel, under(one, 1)))
        await puppet.began.wait()
        await kernel.command(freeze_of(house, 1, scope="agent", target="default/boss"))
        await settle()
        under_way = [(answer.status, answer.reason_code) for answer in told.answers]
        hold.let_go()
        after = await call(kernel, under(one, 2))
        other = await kernel.call("read", {}, tenant="default", principal="bystander", session="s")
        await kernel.command(freeze_of(house, 2, "unfreeze", scope="agent", target="default/boss"))
        again = await call(kernel, under(one, 2))
    assert under_way == [(Status.INDETERMINATE, ReasonCode.AGENT_KILLED)]
    assert (after.allowed, after.reason_code) == (False, ReasonCode.AGENT_KILLED)
    assert other.reason_code != ReasonCode.AGENT_KILLED
    assert again.allowed
    assert len(puppet.orders) == 2 + other.allowed
