"""Raises of P0 ceilings: lowered at once, raised only when the timelock has elapsed on the kernel's own clock."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

from actors.kernel import Kernel
from actors.mailbox import Answer
from actors.recovery import refold
from actors.stores.index_file import open_index
from helm.contracts.errors import Invalid, Refused
from helm.contracts.reason import ReasonCode
from tests.actors.kit import House, InlineIndex, settle
from tests.actors.overlaying import give_up, narrow
from tests.actors.policies import POLICY
from tests.actors.rewriting import Entry, rewritten
from tests.actors.stores.simulated import SimulatedJournal

pytestmark = pytest.mark.every_store

Clock = trio.testing.MockClock

HOUR = 3_600
BASE = POLICY.replace('max_risk_tier = "T2"', f'max_risk_tier = "T2"\nincrease_timelock_s = {HOUR}')
DAY = 86_400


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House.build(tmp_path)


def after(epoch: int, *changes: tuple[str, str], text: str = BASE) -> str:
    """Return a later bundle with some words changed."""
    text = text.replace("epoch = 7", f"epoch = {epoch}")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    return text


TIER = ('max_risk_tier = "T2"', 'max_risk_tier = "T3"')
SHELL = ('denied_tools = ["shell.*"]', "denied_tools = []")
WIPE = ('denied_effect_types = ["delete"]', 'denied_effect_types = ["delete", "payment"]')


async def ask(kernel: Kernel, tool: str, arguments: Any = None) -> Answer:
    return await kernel.call(tool, arguments or {}, tenant="default", principal="ann", session="s")


async def passes(house: House, seconds: int) -> None:
    """Let time pass: most of it on the wall clock alone, the last minute on Trio's own, which wakes who sleeps."""
    house.clock.advance(seconds - 62)
    await trio.sleep(62)


async def activate(house: House, kernel: Kernel, text: str) -> None:
    await kernel.activate(house.sign(text), kernel.executor.connectors)


async def test_a_raised_ceiling_stays_until_its_timelock_has_elapsed(house: House, autojump_clock: Clock) -> None:
    async with house.kernel(policy=BASE) as kernel:
        await activate(house, kernel, after(8, TIER))
        assert (await ask(kernel, "high")).reason_code == ReasonCode.PDP_DENY
        await passes(house, HOUR - 5)
        assert (await ask(kernel, "high")).reason_code == ReasonCode.PDP_DENY
        await trio.sleep(10)
        assert (await ask(kernel, "high")).allowed
        assert kernel.memory.layers is None  # the bundle alone again, under its own hash
        assert kernel.memory.policy.policy_hash == house.sign(after(8, TIER)).policy.policy_hash


async def test_a_lowered_ceiling_counts_at_once(house: House) -> None:
    async with house.kernel(policy=BASE) as kernel:
        assert (await ask(kernel, "pay")).allowed
        await activate(house, kernel, after(8, WIPE))
        assert (await ask(kernel, "pay")).reason_code == ReasonCode.PDP_DENY
        assert kernel.memory.precedence.due_at_ms == 0


async def test_an_increase_that_hides_behind_a_decrease_waits_alone(house: House, autojump_clock: Clock) -> None:
    async with house.kernel(policy=BASE) as kernel:
        await activate(house, kernel, after(8, TIER, WIPE))
        assert (await ask(kernel, "high")).reason_code == ReasonCode.PDP_DENY  # the raise waits
        assert (await ask(kernel, "pay")).reason_code == ReasonCode.PDP_DENY  # what is lowered does not
        await passes(house, HOUR + 5)
        assert (await ask(kernel, "high")).allowed
        assert (await ask(kernel, "pay")).reason_code == ReasonCode.PDP_DENY


async def test_the_second_of_two_increases_does_not_ride_on_the_wait_of_the_first(
    house: House, autojump_clock: Clock
) -> None:
    async with house.kernel(policy=BASE) as kernel:
        await activate(house, kernel, after(8, SHELL))
        await passes(house, HOUR - 60)
        await activate(house, kernel, after(9, SHELL, TIER))
        await trio.sleep(120)
        assert (await ask(kernel, "high")).reason_code == ReasonCode.PDP_DENY
        assert (await ask(kernel, "shell.run")).reason_code == ReasonCode.PDP_DENY
        await passes(house, HOUR)
        assert (await ask(kernel, "high")).allowed
        assert (await ask(kernel, "shell.run")).allowed


async def test_the_same_ceilings_in_a_newer_bundle_wait_no_longer(house: House, autojump_clock: Clock) -> None:
    async with house.kernel(policy=BASE) as kernel:
        await activate(house, kernel, after(8, TIER))
        due = kernel.memory.precedence.due_at_ms
        await trio.sleep(60)
        await activate(house, kernel, after(9, TIER))
        assert kernel.memory.precedence.due_at_ms == due > 0


async def test_a_raise_does_not_shorten_its_own_wait(house: House, autojump_clock: Clock) -> None:
    shorter = (f"increase_timelock_s = {HOUR}", "increase_timelock_s = 60")
    async with house.kernel(policy=BASE) as kernel:
        await activate(house, kernel, after(8, TIER, shorter))
        await trio.sleep(120)
        assert (await ask(kernel, "high")).reason_code == ReasonCode.PDP_DENY
        await activate(house, kernel, after(9, shorter))  # shorter alone is a raise too
        assert kernel.memory.precedence.due_at_ms >= house.clock.now_ms() + (HOUR - 1) * 1000


async def test_a_restart_neither_shortens_nor_forgets_the_wait(house: House, autojump_clock: Clock) -> None:
    text = after(8, TIER)
    async with house.kernel(policy=BASE) as kernel:
        await activate(house, kernel, text)
        due = kernel.memory.precedence.due_at_ms
    async with house.kernel(policy=text) as kernel:
        assert kernel.memory.precedence.due_at_ms == due
        assert (await ask(kernel, "high")).reason_code == ReasonCode.PDP_DENY
        await passes(house, HOUR + 5)
        assert (await ask(kernel, "high")).allowed
    async with house.kernel(policy=text) as kernel:
        rows = len(house.disk.rows)
        await settle()
        assert (await ask(kernel, "high")).allowed
        assert len(house.disk.rows) == rows + 2  # the call's own: no second raise


async def test_a_raise_whose_hour_came_while_no_kernel_ran_comes_into_force_at_the_start(
    house: House, autojump_clock: Clock
) -> None:
    text = after(8, TIER)
    async with house.kernel(policy=BASE) as kernel:
        await activate(house, kernel, text)
    house.clock.advance(2 * HOUR)
    async with house.kernel(policy=text) as kernel:
        await settle()
        assert (await ask(kernel, "high")).allowed


async def test_a_clock_set_back_for_the_activation_gains_nothing(house: House, autojump_clock: Clock) -> None:
    async with house.kernel(policy=BASE) as kernel:
        await ask(kernel, "read")
        house.clock.advance(-2 * HOUR)
        await activate(house, kernel, after(8, TIER))
        house.clock.advance(2 * HOUR)
        await trio.sleep(61)
        assert (await ask(kernel, "high")).reason_code == ReasonCode.PDP_DENY


async def test_a_bundle_that_says_it_is_old_waits_as_long(house: House, autojump_clock: Clock) -> None:
    old = ("epoch = 8\n", "epoch = 8\nnot_before = 2001-01-01T00:00:00Z\n")
    async with house.kernel(policy=BASE) as kernel:
        await activate(house, kernel, after(8, TIER, old))
        await trio.sleep(61)
        assert (await ask(kernel, "high")).reason_code == ReasonCode.PDP_DENY


async def test_a_raise_that_is_given_up_never_comes_into_force_until_it_is_asked_for_anew(
    house: House, autojump_clock: Clock
) -> None:
    text = after(8, TIER)
    async with house.kernel(policy=BASE) as kernel:
        await activate(house, kernel, text)
        await give_up(kernel, house.place, house.clock)
        await passes(house, 2 * HOUR)
        assert (await ask(kernel, "high")).reason_code == ReasonCode.PDP_DENY
    async with house.kernel(policy=text) as kernel:
        await passes(house, 2 * HOUR)
        assert (await ask(kernel, "high")).reason_code == ReasonCode.PDP_DENY
        await activate(house, kernel, after(9, TIER))
        await passes(house, HOUR + 5)
        assert (await ask(kernel, "high")).allowed


async def test_giving_up_one_raise_does_not_give_up_another(house: House, autojump_clock: Clock) -> None:
    async with house.kernel(policy=BASE) as kernel:
        await activate(house, kernel, after(8, TIER))
        due = kernel.memory.precedence.due_at_ms
        await trio.sleep(60)
        await activate(house, kernel, after(9, SHELL))
        with pytest.raises(Invalid, match="another raise"):
            await give_up(kernel, house.place, house.clock, due_at_ms=due)
        with pytest.raises(Invalid, match="another raise"):
            await give_up(kernel, house.place, house.clock, p0_ceiling_hash="sha256:" + "0" * 64)
        with pytest.raises(Invalid, match="another log"):
            await give_up(kernel, house.place, house.clock, log_id="sha256:" + "0" * 64)
        await give_up(kernel, house.place, house.clock)
        assert kernel.memory.precedence.due_at_ms == 0


async def test_the_first_bundle_of_a_log_has_nothing_to_wait_for(house: House) -> None:
    async with house.kernel(policy=after(8, TIER)) as kernel:
        assert (await ask(kernel, "high")).allowed


HARD = ('max_risk_tier = "T2"', 'max_risk_tier = "T2"\nspend_cents_per_window = 10\nwindow_s = 3600')


async def test_a_hard_budget_keeps_its_count_while_a_raise_of_it_waits(house: House, autojump_clock: Clock) -> None:
    budget = after(7, HARD)
    async with house.kernel(policy=budget) as kernel:
        assert (await ask(kernel, "pay")).allowed
        more = budget.replace("epoch = 7", "epoch = 8").replace("per_window = 10", "per_window = 1000")
        await activate(house, kernel, more)
        assert (await ask(kernel, "pay")).reason_code == ReasonCode.BUDGET_EXCEEDED
        other = more.replace("epoch = 8", "epoch = 9").replace("window_s = 3600", "window_s = 60", 1)
        await activate(house, kernel, other)  # another window cannot be compared: both count
        assert (await ask(kernel, "pay")).reason_code == ReasonCode.BUDGET_EXCEEDED
        assert [one.id for one in kernel.memory.policy.budgets[:2]] == ["p0", "p0@60s"]
        await passes(house, HOUR + 5)
        assert (await ask(kernel, "pay")).allowed


async def test_an_overlay_is_in_force_above_a_waiting_raise_and_after_it(house: House, autojump_clock: Clock) -> None:
    async with house.kernel(policy=BASE) as kernel:
        await activate(house, kernel, after(8, TIER))
        await narrow(kernel, house.place, remove_tools=["read"])
        await passes(house, HOUR + 5)
        assert (await ask(kernel, "read")).reason_code == ReasonCode.NO_POLICY_DEFINED
        assert (await ask(kernel, "high")).allowed


async def reads(house: House, rows: list[bytes]) -> None:
    """Read rows back as a start would. Raises Invalid."""
    file = open_index(house.path / "attack-index.sqlite", house.place.log_id)
    try:
        await refold(SimulatedJournal(rows=rows), InlineIndex(file, 0), house.place.log_id)
    finally:
        file.close()


async def test_a_raise_that_is_written_into_the_journal_before_its_hour_is_found(
    house: House, autojump_clock: Clock
) -> None:
    async with house.kernel(policy=BASE) as kernel:
        await activate(house, kernel, after(8, TIER))
        await passes(house, HOUR + 5)
        await ask(kernel, "high")
    rows = list(house.disk.rows)

    def early(_: int, entry: Entry) -> None:
        payload = entry["node"]["payload"]
        if payload.get("type") == "P0_RAISED":
            payload["raised_at_ms"] -= 10_000

    def sooner(_: int, entry: Entry) -> None:
        payload = entry["node"]["payload"]
        if payload.get("type") == "P0_RAISED":
            payload["raised_at_ms"] -= HOUR * 1000
            payload["due_at_ms"] -= HOUR * 1000

    await reads(house, rewritten(rows, lambda *_: None))
    for change in (early, sooner):
        with pytest.raises((Invalid, Refused)):
            await reads(house, rewritten(rows, change))
