"""Overlays on a running kernel: they narrow whom they name, from one call to the next, and nothing widens by them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing

from actors.commands.delegation import BindDelegation
from actors.commands.policy import ChangeOverlays
from actors.kernel import Kernel
from actors.mailbox import Answer
from actors.opening import run_kernel
from actors.recovery import refold
from actors.stores.index_file import open_index
from helm.contracts.errors import Invalid
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Status, Verdict
from helm.crypto.canonical import canonical
from tests.actors.delegating import grant, policy_of, signature, under
from tests.actors.kit import LIMITS, House, InlineIndex, Told, all_of, settle
from tests.actors.overlaying import narrow, overlay, put, removal, signed
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.actors.rewriting import Entry, rewritten
from tests.actors.stores.simulated import SimulatedJournal

pytestmark = pytest.mark.every_store

NEXT = POLICY.replace("epoch = 7", "epoch = 8")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House.build(tmp_path)


async def ask(
    kernel: Kernel, tool: str, arguments: Any = None, principal: str = "ann", tenant: str = "default"
) -> Answer:
    return await kernel.call(tool, arguments or {}, tenant=tenant, principal=principal, session=principal)


async def test_a_removed_tool_is_gone_for_whom_the_overlay_names_and_stays_for_others(house: House) -> None:
    async with house.kernel() as kernel:
        assert (await ask(kernel, "read")).allowed
        await narrow(kernel, house.place, principals=["ann"], remove_tools=["read"])
        ann, bob = await ask(kernel, "read"), await ask(kernel, "read", principal="bob")
    assert ann.reason_code == ReasonCode.NO_POLICY_DEFINED
    assert bob.allowed
    assert ann.receipt.content.policy_hash != bob.receipt.content.policy_hash == house.sign().policy.policy_hash


async def test_an_overlay_of_one_tenant_does_not_reach_another(house: House) -> None:
    async with house.kernel() as kernel:
        await narrow(kernel, house.place, tenants=["acme"], principals=["ann"], remove_tools=["*"])
        assert (await ask(kernel, "read", tenant="default")).allowed
        assert (await ask(kernel, "read", principal="bob", tenant="acme")).allowed
        denied = await kernel.call("read", {}, tenant="acme", principal="ann", session="other")
    assert denied.reason_code == ReasonCode.NO_POLICY_DEFINED


@pytest.mark.parametrize(
    ("members", "tool", "arguments", "code"),
    [
        ({"tools": {"read": {"risk_tier": "T3"}}}, "read", {}, ReasonCode.PDP_DENY),
        ({"tools": {"read": {"requires": [{"id": "x", "cel": "args.ok == 1"}]}}}, "read", {}, "PRG_EVALUATION_ERROR"),
        (
            {"tools": {"send": {"allow_destinations": ["https://a.example.com"]}}},
            "send",
            {"to": "https://b.example.com"},
            ReasonCode.DATA_EGRESS_BLOCKED,
        ),
        (
            {"tools": {"send": {"deny_destinations": ["b.example.com"]}}},
            "send",
            {"to": "https://b.example.com"},
            ReasonCode.DATA_EGRESS_BLOCKED,
        ),
        ({"tools": {"read": {"approval": {"required": True}}}}, "read", {}, ReasonCode.APPROVAL_REQUIRED),
        ({"budgets": [{"id": "spend", "spend_limit_cents": 9}]}, "pay", {}, ReasonCode.BUDGET_EXCEEDED),
        (
            {"budgets": [{"id": "none", "subject": "*", "tool_call_limit": 0, "window_s": 60}]},
            "read",
            {},
            ReasonCode.BUDGET_EXCEEDED,
        ),
    ],
    ids=["tier", "requirement", "allow", "deny", "approval", "lower budget", "new budget"],
)
async def test_each_kind_of_narrowing_refuses_what_the_bundle_allows(
    house: House, members: dict[str, Any], tool: str, arguments: dict[str, Any], code: str
) -> None:
    async with house.kernel() as kernel:
        before = await ask(kernel, tool, arguments)
        await narrow(kernel, house.place, **members)
        after = await ask(kernel, tool, arguments)
        await put(kernel, removal(house.place))
        again = await ask(kernel, tool, arguments)
    assert (before.allowed, after.reason_code, again.allowed) == (True, code, True)


async def test_a_destination_that_is_left_is_reached_still(house: House) -> None:
    async with house.kernel() as kernel:
        await narrow(kernel, house.place, tools={"send": {"allow_destinations": ["https://a.example.com"]}})
        assert (await ask(kernel, "send", {"to": "https://a.example.com"})).allowed


@pytest.mark.parametrize(
    ("members", "where", "what"),
    [
        ({"tools": {"pay": {"risk_tier": "T1"}}}, "tools.pay.risk_tier", "lowers the risk tier"),
        ({"tools": {"mine": {"risk_tier": "T3"}}}, "tools.mine", "declares no tool"),
        ({"tools": {"pay": {"principals": ["*"]}}}, "tools.pay.principals", "cannot state principals"),
        ({"tools": {"pay": {"connector": "other"}}}, "tools.pay.connector", "cannot state connector"),
        ({"tools": {"send": {"allow_destinations": ["*.com"]}}}, "tools.send.allow_destinations[0]", "not allow all"),
        ({"tools": {"send": {"allow_destinations": ["a.example.com"]}}}, "tools.send.allow_destinations[0]", "widen"),
        ({"tools": {"asking": {"approval": {"expires_s": 601}}}}, "tools.asking.approval.expires_s", "raises"),
        ({"tools": {"asking": {"approval": {"quorum": 0}}}}, "tools.asking.approval.quorum", "lowers"),
        ({"tools": {"asking": {"approval": {"when": "true"}}}}, "tools.asking.approval.when", "unknown key"),
        ({"budgets": [{"id": "spend", "spend_limit_cents": 1001}]}, "budgets[0].spend_limit_cents", "raises"),
        ({"budgets": [{"id": "spend", "subject": "tool:read", "tool_call_limit": 1}]}, "budgets[0].subject", "cannot"),
        ({"budgets": [{"id": "p0@60s", "subject": "*", "tool_call_limit": 1, "window_s": 1}]}, "budgets[0].id", "used"),
        ({"remove_tools": ["nothing"]}, "remove_tools[0]", "declares no tool"),
        ({"principals": ["*"], "remove_tools": ["read"]}, "principals", "a pattern"),
        ({"p0": {"max_risk_tier": "T3"}, "remove_tools": ["read"]}, "p0", "unknown key"),
        ({}, "overlay", "narrows nothing"),
    ],
)
async def test_an_overlay_that_would_widen_is_refused_with_its_place(
    house: House, members: dict[str, Any], where: str, what: str
) -> None:
    async with house.kernel() as kernel:
        with pytest.raises(Invalid) as refusal:
            await narrow(kernel, house.place, **members)
        assert kernel.memory.layers is None
        assert (await ask(kernel, "read")).allowed
    assert refusal.value.where == where
    assert what in refusal.value.what
    assert refusal.value.hint or "unknown key" in refusal.value.what


async def test_overlays_outlive_the_kernel_and_are_in_force_before_its_first_call(house: House) -> None:
    async with house.kernel() as kernel:
        await narrow(kernel, house.place, remove_tools=["read"])
        lived = kernel.memory.precedence
    async with house.kernel() as kernel:
        assert kernel.memory.precedence == lived
        assert (await ask(kernel, "read")).reason_code == ReasonCode.NO_POLICY_DEFINED


async def test_an_old_overlay_never_takes_the_place_of_a_newer_one(house: House) -> None:
    async with house.kernel() as kernel:
        bundle = kernel.memory.bundle
        loose = signed(overlay(bundle, remove_tools=["write"]), house.place)
        await put(kernel, loose)
        await narrow(kernel, house.place, epoch=2, remove_tools=["read", "write"])
        with pytest.raises(Invalid, match="does not follow"):
            await put(kernel, loose)
        await put(kernel, removal(house.place, epoch=3))
        with pytest.raises(Invalid, match="does not follow"):
            await put(kernel, loose)
    async with house.kernel() as kernel:
        with pytest.raises(Invalid, match="does not follow"):
            await put(kernel, loose)


async def test_a_signature_over_another_overlay_or_by_another_key_puts_nothing_in_force(house: House) -> None:
    async with house.kernel() as kernel:
        document = overlay(kernel.memory.bundle, remove_tools=["read"])
        swapped = signed(document, house.place)
        other = canonical(document | {"remove_tools": ["write"]})
        place = house.place
        attempts = [
            type(swapped)(command=swapped.command, signature=swapped.signature, document=other),
            type(swapped)(command=swapped.command, signature="0" * 128, document=swapped.document),
            signed(document, place, key_id=place.approval_key().key_id),
            signed(document, place, log_id="sha256:" + "0" * 64),
            signed(document, place, principals=("bob",)),
        ]
        for attempt in attempts:
            with pytest.raises(Invalid):
                await put(kernel, attempt)
        assert kernel.memory.precedence.overlays.in_force == {}


async def test_a_newer_bundle_does_not_shake_off_the_overlays_of_the_one_before(house: House) -> None:
    async with house.kernel() as kernel:
        await narrow(kernel, house.place, remove_tools=["read"])
        plugged = kernel.executor.connectors
        with pytest.raises(Invalid, match="narrows another bundle"):
            await kernel.activate(house.sign(NEXT), plugged)
        assert (await ask(kernel, "read")).reason_code == ReasonCode.NO_POLICY_DEFINED
        newer = house.sign(NEXT)
        anew = signed(overlay(newer.policy, epoch=2, remove_tools=["read"]), house.place)
        await kernel.activate(type(newer)(policy=newer.policy, signature=newer.signature, overlays=(anew,)), plugged)
        assert kernel.memory.active is not None
        assert kernel.memory.active.epoch == 8
        assert (await ask(kernel, "read")).reason_code == ReasonCode.NO_POLICY_DEFINED
        assert (await ask(kernel, "write")).allowed
    async with house.kernel(policy=NEXT) as kernel:
        assert (await ask(kernel, "read")).reason_code == ReasonCode.NO_POLICY_DEFINED


async def test_a_kernel_does_not_start_on_a_bundle_that_its_overlays_are_not_about(house: House) -> None:
    async with house.kernel() as kernel:
        await narrow(kernel, house.place, remove_tools=["read"])
    with pytest.raises(Invalid, match="narrows another bundle"):
        async with house.kernel(policy=NEXT):
            pass


async def test_two_overlays_that_leave_nobody_to_approve_are_refused_and_named(house: House) -> None:
    keys = "\n".join(f'[approvers.{name}]\nkeys = ["key_{digit * 32}"]' for name, digit in (("al", "a"), ("bo", "b")))
    async with house.kernel(policy=POLICY + keys) as kernel:
        only = {"read": {"approval": {"required": True, "approvers": ["al"]}}}
        await narrow(kernel, house.place, "one", tools=only)
        other = {"read": {"approval": {"required": True, "approvers": ["bo"]}}}
        with pytest.raises(Invalid, match="one and two together ask 1 approvers for read, and leave nobody"):
            await narrow(kernel, house.place, "two", tools=other)
        await narrow(kernel, house.place, "one", epoch=2, principals=["ann"], tools=only)
        await narrow(kernel, house.place, "two", principals=["bob"], tools=other)  # nobody is bound by both


async def test_an_approval_from_before_an_overlay_is_void_under_it(house: House) -> None:
    async with house.kernel() as kernel:
        asked = await ask(kernel, "asking")
        await narrow(kernel, house.place, tools={"asking": {"approval": {"timelock_s": 60}}})
        anew = await ask(kernel, "asking")
    assert asked.verdict == anew.verdict == Verdict.ESCALATE
    assert asked.approval_id != anew.approval_id


async def test_raising_the_tier_satisfies_no_condition_of_the_bundle(house: House) -> None:
    wanting = """
[tools.gated]
connector = "local"
effect_type = "read"
risk_tier = "T0"
principals = ["*"]
requires = [{ id = "high", cel = "risk_tier == 'T1'", reason = "only for T1" }]
input = '{}'
output = '{}'
"""
    async with house.kernel(policy=POLICY + wanting) as kernel:
        before = await ask(kernel, "gated")
        await narrow(kernel, house.place, tools={"gated": {"risk_tier": "T1"}})
        after = await ask(kernel, "gated")
    assert before.reason_code == after.reason_code == ReasonCode.MISSING_REQUIREMENT


async def reads(house: House, rows: list[bytes]) -> None:
    """Read rows back as a start would. Raises Invalid."""
    file = open_index(house.path / "attack-index.sqlite", house.place.log_id)
    try:
        await refold(SimulatedJournal(rows=rows), InlineIndex(file, 0), house.place.log_id)
    finally:
        file.close()


async def test_an_overlay_that_is_edited_out_of_the_journal_is_missed_by_the_calls_it_bound(house: House) -> None:
    async with house.kernel() as kernel:
        await narrow(kernel, house.place, remove_tools=["write"])
        assert (await ask(kernel, "read")).allowed
    rows = list(house.disk.rows)

    def empty(_: int, entry: Entry) -> None:
        if entry["node"]["payload"].get("type") == "OVERLAID":
            entry["node"]["payload"]["commands"], entry["beside"]["overlays"] = {}, {}

    def looser(_: int, entry: Entry) -> None:
        if entry["node"]["payload"].get("type") == "OVERLAID":
            entry["beside"]["overlays"]["one"]["remove_tools"] = ["nothing"]

    def unsigned(_: int, entry: Entry) -> None:
        if entry["node"]["payload"].get("type") == "OVERLAID":
            entry["node"]["payload"]["commands"]["one"]["command"]["principals"] = ["bob"]

    await reads(house, rewritten(rows, lambda *_: None))
    for change, what in ((empty, "other layers"), (looser, "not the one that was signed"), (unsigned, "signature")):
        with pytest.raises(Invalid, match=what):
            await reads(house, rewritten(rows, change))


async def test_commands_that_change_nothing_allowed_are_refused_whole(house: House) -> None:
    async with house.kernel() as kernel:
        good = signed(overlay(kernel.memory.bundle, "good", remove_tools=["read"]), house.place)
        bad = signed(overlay(kernel.memory.bundle, "bad", remove_tools=["nothing"]), house.place)
        with pytest.raises(Invalid):
            await kernel.command(ChangeOverlays((good, bad), kernel.parts.state.registry))
        assert (await ask(kernel, "read")).allowed


async def test_a_permit_in_flight_is_not_dispatched_past_an_overlay_that_came_behind_it(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    puppet, told = Puppet(), Told()
    async with house.kernel(puppet) as kernel, trio.open_nursery() as callers:
        house.disk.hang()
        callers.start_soon(told.ask, partial(ask, kernel, "read"))
        await settle()
        callers.start_soon(partial(narrow, kernel, house.place, principals=["ann"], remove_tools=["read"]))
        await settle()
        house.disk.resume()
    (answer,) = told.answers
    assert (answer.status, answer.reason_code) == (Status.NOT_DISPATCHED, ReasonCode.POLICY_EPOCH_CHANGED)
    assert puppet.orders == []


async def test_a_permit_in_flight_of_whom_no_overlay_binds_is_dispatched(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    told = Told()
    async with house.kernel() as kernel, trio.open_nursery() as callers:
        house.disk.hang()
        callers.start_soon(told.ask, partial(ask, kernel, "read", principal="bob"))
        await settle()
        callers.start_soon(partial(narrow, kernel, house.place, principals=["ann"], remove_tools=["read"]))
        await settle()
        house.disk.resume()
    assert told.answers[0].allowed


async def test_whom_an_overlay_binds_gains_nothing_by_letting_another_act(house: House) -> None:
    text = policy_of(house.place)
    async with house.kernel(policy=text) as kernel:
        one = grant(house.place, house.clock.now_ms(), {"read": ""})
        registry = kernel.parts.state.registry
        await kernel.command(BindDelegation(one, signature(one, house.place), registry))
        terms = [under(one, sequence) for sequence in (1, 2)]
        call = partial(kernel.call, "read", {}, tenant="default", principal="delegate", session="s")
        assert (await call(terms=terms[0])).allowed
        await narrow(kernel, house.place, principals=["boss"], remove_tools=["read"])
        refused = await call(terms=terms[1])
        assert not refused.allowed
        assert refused.reason_code in {ReasonCode.DELEGATION_SCOPE_VIOLATION, ReasonCode.NO_POLICY_DEFINED}
        anew = grant(house.place, house.clock.now_ms(), {"read": ""}, nonce="1" * 32)
        with pytest.raises(Invalid, match="may not use read itself"):
            await kernel.command(BindDelegation(anew, signature(anew, house.place), registry))


async def test_a_crash_between_a_newer_bundle_and_its_overlays_starts_only_with_the_overlays(house: House) -> None:
    async with house.kernel() as kernel:
        await narrow(kernel, house.place, remove_tools=["read"])
        newer = house.sign(NEXT)
        anew = signed(overlay(newer.policy, epoch=2, remove_tools=["read"]), house.place)
        with_it = attrs.evolve(newer, overlays=(anew,))
        await kernel.activate(with_it, kernel.executor.connectors)
    last = [b'"OVERLAID"' in row for row in house.disk.rows]
    cut = len(last) - 1 - last[::-1].index(True)
    assert b'"POLICY_ACTIVATED"' in house.disk.rows[cut - 1]
    house.disk.rows = house.disk.rows[:cut]
    with pytest.raises(Invalid, match="narrows another bundle"):
        async with house.kernel(policy=NEXT):
            pass
    ground, connectors = await house.simulated_ground(), all_of(Puppet())
    async with run_kernel(ground, policy=with_it, connectors=connectors, limits=LIMITS, clock=house.clock) as kernel:
        assert (await ask(kernel, "read")).reason_code == ReasonCode.NO_POLICY_DEFINED
        assert (await ask(kernel, "write")).allowed


async def test_a_flood_of_callers_spends_no_more_than_the_lowered_budget(house: House) -> None:
    async with house.kernel() as kernel:
        await narrow(kernel, house.place, budgets=[{"id": "spend", "spend_limit_cents": 50}])
        told = Told()
        async with trio.open_nursery() as callers:
            for _ in range(12):
                callers.start_soon(told.ask, partial(ask, kernel, "pay"))
        assert sum(answer.allowed for answer in told.answers) == 5
        assert kernel.memory.ledger.accounts["spend"][3] == 50
