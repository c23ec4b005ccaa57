"""A guest is governed like any other tool, and its end is told as what it was: nothing happened."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio

from actors.mailbox import KernelStopped
from helm.crypto.hashing import sha256
from tests.actors.kit import House, all_of
from tests.actors.modules import guests_of, keep, with_guest
from tests.actors.policies import POLICY
from tests.actors.puppet import Puppet
from tests.actors.test_kernel_commands import freeze_of
from tests.helm.runtime import guests

pytestmark = pytest.mark.every_store


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House.build(tmp_path)


async def test_the_receipt_carries_the_evidence_of_the_run(house: House) -> None:
    policy = with_guest(POLICY, guests.ECHO)
    keep(house.path, guests.ECHO)
    connectors = all_of(Puppet()) | guests_of(house.sign(policy).policy, house.path)
    async with house.kernel(connectors, policy=policy, ground=await house.real_ground()) as kernel:
        answer = await kernel.call("guest", {"a": 1}, principal="agent")
        refused = await kernel.call("guest", b"{", principal="agent")
    receipt = answer.receipt.content
    assert (answer.status, answer.output) == ("SUCCESS", {"a": 1})
    assert (receipt.fuel_used, receipt.module_hash) == (28, sha256(guests.ECHO))
    assert receipt.lease_id and receipt.sandbox_grant_hash.startswith("sha256:")
    assert dict(receipt.sandbox_limits) == {
        "fuel": 1_000_000,
        "memory_bytes": 67_108_864,
        "open_files": 16,
        "output_bytes": 1_048_576,
        "stack_bytes": 524_288,
        "wall_ms": 2_000,
    }
    assert receipt.trap == ""
    denied = refused.receipt.content
    assert (denied.fuel_used, denied.lease_id, denied.module_hash) == (0, "", "")
    assert (denied.sandbox_limits, denied.trap) == ((), "")
    assert denied.sandbox_grant_hash == receipt.sandbox_grant_hash
    state, _ = await house.read_real()
    assert not state.open_intents


async def test_a_guest_that_runs_as_the_kernel_ends_was_interrupted_and_nothing_happened(house: House) -> None:
    policy = with_guest(POLICY, guests.LOOP, fuel=10**12, timeout_ms=60_000)
    keep(house.path, guests.LOOP)
    sandboxes = guests_of(house.sign(policy).policy, house.path)
    ground = await house.real_ground()
    with trio.fail_after(20):
        async with (
            house.kernel(all_of(Puppet()) | sandboxes, policy=policy, ground=ground) as kernel,
            trio.open_nursery() as callers,
        ):
            callers.start_soon(partial(kernel.call, "guest", {}, principal="agent"))
            while not sandboxes["guests"].running:
                await trio.lowlevel.checkpoint()
            kernel.nursery.cancel_scope.cancel()
    _, log = await house.read_real()
    [receipt] = log.receipts.values()
    assert (receipt["status"], receipt["reason_code"]) == ("INTERRUPTED", "KERNEL_STOPPED")
    assert (receipt["module_hash"], receipt["output_hash"]) == (sha256(guests.LOOP), "")
    assert receipt["trap"] == "interrupt"


async def test_a_guest_that_a_freeze_interrupts_did_nothing_and_gives_its_budget_back(house: House) -> None:
    policy = with_guest(POLICY, guests.LOOP, fuel=10**12, timeout_ms=60_000)
    policy += '\n[[budgets]]\nid = "one"\nsubject = "tool:guest"\ntool_call_limit = 1\nwindow_s = 86400\n'
    keep(house.path, guests.LOOP)
    sandboxes = guests_of(house.sign(policy).policy, house.path)
    ground = await house.real_ground()
    with trio.fail_after(20):
        async with house.kernel(all_of(Puppet()) | sandboxes, policy=policy, ground=ground) as kernel:
            async with trio.open_nursery() as callers:
                callers.start_soon(partial(kernel.call, "guest", {}, principal="agent"))
                while not sandboxes["guests"].running:
                    await trio.lowlevel.checkpoint()
                await kernel.command(freeze_of(house, 1, scope="agent", target="local/agent"))
            [usage] = [one for one in kernel.memory.ledger.accounts.values() if one[0] == "one"]
    _, log = await house.read_real()
    [receipt] = log.receipts.values()
    assert (receipt["status"], receipt["reason_code"]) == ("INTERRUPTED", "AGENT_KILLED")
    assert usage[2] == 0


async def test_a_kernel_that_crashes_gets_its_guests_threads_back(house: House) -> None:
    policy = with_guest(POLICY, guests.LOOP, fuel=10**12, timeout_ms=60_000)
    keep(house.path, guests.LOOP)
    sandboxes = guests_of(house.sign(policy).policy, house.path)
    ground = await house.real_ground()

    async def crash() -> None:
        while not sandboxes["guests"].running:
            await trio.lowlevel.checkpoint()
        raise ZeroDivisionError

    with trio.fail_after(60):
        with pytest.raises(KernelStopped):
            async with house.kernel(all_of(Puppet()) | sandboxes, policy=policy, ground=ground) as kernel:
                kernel.nursery.start_soon(crash)
                await kernel.call("guest", {}, principal="agent")
    assert sandboxes["guests"].running == 0
    _, log = await house.read_real()
    [receipt] = log.receipts.values()
    assert (receipt["status"], receipt["module_hash"]) == ("INTERRUPTED", sha256(guests.LOOP))
