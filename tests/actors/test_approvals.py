"""Approvals as a kernel holds them: who may agree, to what, when, how often, and what a restart makes of it (T7)."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from actors.kernel import Kernel
from helm.contracts.reason import ReasonCode
from helm.contracts.verdict import Status
from helm.guardian.intake import Terms
from tests.actors.approvers import Panel
from tests.actors.kit import House, remembered
from tests.actors.puppet import Puppet


@pytest.fixture
def panel(house: House) -> Panel:
    return Panel.seat(house)


def named(approval_id: str) -> Terms:
    return Terms(approval_id=approval_id)


async def ask(kernel: Kernel, n: int = 1, principal: str = "agent") -> str:
    answer = await kernel.call("asking", {"n": n}, principal=principal)
    assert (answer.status, answer.reason_code) == (Status.ESCALATED, ReasonCode.APPROVAL_REQUIRED)
    return answer.approval_id


async def test_a_call_runs_once_its_quorum_agreed_and_once_only(
    panel: Panel, autojump_clock: trio.testing.MockClock
) -> None:
    puppet = Puppet()
    async with panel.house.kernel(puppet, policy=panel.policy()) as kernel:
        approval_id = await ask(kernel)
        assert (await panel.alice.say(kernel, approval_id)).state == "PENDING"
        early = await kernel.call("asking", {"n": 1}, principal="agent", terms=named(approval_id))
        assert early.reason_code == ReasonCode.APPROVAL_REQUIRED and early.approval_id == approval_id
        assert (await panel.bob.say(kernel, approval_id)).state == "APPROVED"
        without = await kernel.call("asking", {"n": 1}, principal="agent")
        assert (without.status, without.approval_id) == (Status.ESCALATED, approval_id)
        ran = await kernel.call("asking", {"n": 1}, principal="agent", terms=named(approval_id))
        assert ran.allowed and len(puppet.orders) == 1
        again = await kernel.call("asking", {"n": 1}, principal="agent", terms=named(approval_id))
        assert (again.reason_code, len(puppet.orders)) == (ReasonCode.PDP_DENY, 1)
        live = remembered(kernel.parts.state, panel.house.clock.now_ms())
    state, log = await panel.house.read_simulated()
    assert remembered(state, panel.house.clock.now_ms()) == live
    log.check_all_sealed()
    assert state.memory.approvals.ceremonies[approval_id].state == "CONSUMED"
