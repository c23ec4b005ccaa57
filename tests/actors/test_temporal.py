"""Time on a running kernel: what its clock says is what counts, and no way of calling makes a fast caller slow."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
import trio.testing

from actors.commands.delegation import BindDelegation
from actors.kernel import Kernel
from actors.mailbox import Answer
from helm.contracts.reason import ReasonCode
from helm.crypto.canonical import canonical, parse
from helm.guardian.chain import CHAIN
from helm.guardian.facts import read_facts
from helm.guardian.intake import Terms
from tests.actors.approvers import Panel
from tests.actors.delegating import grant, policy_of, signature, under
from tests.actors.kit import House, known_to, remembered
from tests.actors.policies import OPEN, POLICY

pytestmark = pytest.mark.every_store

TOOL = f"""
connector = "local"
effect_type = "read"
risk_tier = "T1"
principals = ["*"]
{OPEN}
"""
BERLIN = 'time_zone = "CET-1CEST,M3.5.0,M10.5.0/3"'

TEMPORAL = f"""{POLICY}
[[velocity]]
id = "one-agent"
tools = ["quick.*"]
window_s = 60
observe_above = 2
throttle_above = 4
interrupt_above = 6

[[velocity]]
id = "one-session"
per = "session"
tools = ["quick.*"]
window_s = 60
throttle_above = 2

[[velocity]]
id = "whole-tenant"
per = "tenant"
tools = ["crowded"]
window_s = 60
throttle_above = 3
cool_down_s = 600

[tools."quick.one"]
{TOOL}
[tools."quick.two"]
{TOOL}
[tools.crowded]
{TOOL}

[windows.office]
days = ["mon", "tue", "wed", "thu", "fri"]
from = "08:00"
to = "18:00"
except_dates = ["2026-12-25"]
{BERLIN}

[windows.night]
from = "02:00"
to = "03:00"
{BERLIN}

[windows.leap-day]
from = "00:00"
to = "24:00"
from_date = "2028-02-29"
to_date = "2028-02-29"
{BERLIN}

[tools.office]
windows = ["office"]
{TOOL}
[tools.nightly]
windows = ["night"]
{TOOL}
[tools.leaping]
windows = ["leap-day"]
{TOOL}
"""

PASS, THROTTLE, INTERRUPT = "", ReasonCode.TEMPORAL_THROTTLE, ReasonCode.TEMPORAL_INTERVENTION


async def came(kernel: Kernel, tool: str, principal: str = "ann", session: str = "", tenant: str = "acme") -> str:
    """Make one call, and return the code of its answer."""
    answer = await made(kernel, tool, principal, session, tenant)
    return answer.reason_code


async def made(
    kernel: Kernel, tool: str, principal: str = "ann", session: str = "", tenant: str = "acme", **terms: Any
) -> Answer:
    named = session or f"of-{principal}"
    return await kernel.call(tool, {}, principal=principal, session=named, tenant=tenant, terms=Terms(**terms))


async def test_another_session_does_not_make_a_fast_agent_slow(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel(policy=TEMPORAL) as kernel:
        in_one = [await came(kernel, "quick.one", session="s1") for _ in range(3)]
        in_others = [await came(kernel, "quick.one", session=f"s{number}") for number in range(2, 6)]
    assert in_one == [PASS, PASS, THROTTLE]  # by its session
    assert in_others == [PASS, THROTTLE, THROTTLE, INTERRUPT]  # by its principal: 3, 4, 5 and 6 calls came before


async def test_another_tool_under_the_same_rule_does_not_make_a_fast_agent_slow(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel(policy=TEMPORAL) as kernel:
        tools = ["quick.one", "quick.two"] * 3
        codes = [await came(kernel, tool, session=f"s{number}") for number, tool in enumerate(tools)]
        assert codes == [PASS] * 4 + [THROTTLE] * 2
        assert await came(kernel, "read") == PASS


async def test_many_agents_of_one_tenant_are_one_crowd_and_another_tenant_is_none_of_it(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel(policy=TEMPORAL) as kernel:
        codes = [await came(kernel, "crowded", f"agent-{number}") for number in range(5)]
        assert codes == [PASS] * 3 + [THROTTLE] * 2
        assert await came(kernel, "crowded", "agent-0", "other", "globex") == PASS


async def test_nobody_is_faster_by_many_delegates_and_nobody_slows_a_delegator_down(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    now_ms = house.clock.now_ms()
    hands = [
        grant(house.place, now_ms, {"quick.one": ""}, delegate=f"hand-{number}", nonce=str(number) * 32)
        for number in range(6)
    ]
    async with house.kernel(policy=policy_of(house.place, TEMPORAL)) as kernel:
        for one in hands:
            await kernel.command(BindDelegation(one, signature(one, house.place), kernel.parts.state.registry))
        stolen = [
            await kernel.call(
                "quick.one", {}, principal="eve", session="of-eve", tenant="default", terms=under(hands[0], number)
            )
            for number in range(1, 9)
        ]
        assert {one.reason_code for one in stolen} == {ReasonCode.DELEGATION_PRINCIPAL_MISMATCH}
        codes = [
            (
                await kernel.call(
                    "quick.one", {}, principal=one.delegate, session=one.delegate, tenant="default", terms=under(one, 1)
                )
            ).reason_code
            for one in hands
        ]
        assert codes == [PASS] * 4 + [THROTTLE] * 2
        assert await came(kernel, "quick.one", "boss", "of-boss", "default") == INTERRUPT
        live = known_to(kernel)
    folded, _ = await house.read_simulated()
    assert remembered(folded) == live


async def test_a_session_that_a_stranger_calls_in_is_not_slowed_down(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel(policy=TEMPORAL) as kernel:
        assert await came(kernel, "quick.one", "ann", "mine") == PASS
        stolen = [await came(kernel, "quick.one", "eve", "mine") for _ in range(9)]
        assert {*stolen} == {ReasonCode.IDENTITY_ISOLATION_VIOLATION}
        assert await came(kernel, "quick.one", "ann", "mine") == PASS


async def test_a_clock_that_is_set_back_gives_no_call_back(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel(policy=TEMPORAL) as kernel:
        assert [await came(kernel, "crowded") for _ in range(4)][-1] == THROTTLE
        for back_s in (1, 61, 86_400):
            house.clock.advance(-back_s)
            assert await came(kernel, "crowded") == THROTTLE
    async with house.kernel(policy=TEMPORAL) as kernel:  # nor does a restart
        assert await came(kernel, "crowded", "bob") == THROTTLE
        house.clock.advance(86_400 + 62 + 599)
        assert await came(kernel, "crowded") == THROTTLE
        house.clock.advance(602)
        assert await came(kernel, "crowded") == PASS


async def test_a_burst_over_the_edge_of_a_window_is_one_burst(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel(policy=TEMPORAL) as kernel:
        house.clock.advance(60 - house.clock.now_ms() / 1000 % 60 - 0.25)  # just before a full minute
        before = [await came(kernel, "quick.one", session=f"s{number}") for number in range(3)]
        house.clock.advance(1)
        after = [await came(kernel, "quick.one", session=f"t{number}") for number in range(3)]
    assert before + after == [PASS] * 4 + [THROTTLE] * 2


async def test_a_level_that_was_reached_holds_until_it_has_cooled_down(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel(policy=TEMPORAL) as kernel:
        assert [await came(kernel, "crowded") for _ in range(4)][-1] == THROTTLE
        house.clock.advance(300)
        held = await made(kernel, "crowded")
        assert (held.reason_code, held.reason) == (
            THROTTLE,
            "velocity whole-tenant: 0 calls of this tenant in 60 s, THROTTLE holds for 600 s; the next one in 300 s",
        )
        house.clock.advance(301)
        assert await came(kernel, "crowded") == PASS


async def test_what_is_only_observed_goes_on_and_its_decision_says_so(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel(policy=TEMPORAL) as kernel:
        answers = [await made(kernel, "quick.two", session=f"s{number}") for number in range(3)]
        stories = [await kernel.library.story(answer.receipt.receipt_id) for answer in answers]
    levels = [[tick[-2] for tick in (story or {})["decision"]["velocity"]] for story in stories]
    assert [answer.allowed for answer in answers] == [True] * 3
    assert levels == [["", ""], ["", ""], ["OBSERVE", ""]]


async def test_a_human_lets_an_interrupted_call_pass_and_it_is_judged_again(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    panel = Panel.seat(house)
    async with house.kernel(policy=TEMPORAL) as kernel:
        codes = [await came(kernel, "quick.one", session=f"s{number}") for number in range(6)]
        assert codes[-1] == THROTTLE
        asked = await made(kernel, "quick.one", session="last")
        assert asked.reason_code == INTERRUPT
        await panel.alice.say(kernel, asked.approval_id)
        passed = await made(kernel, "quick.one", session="last", approval_id=asked.approval_id)
        assert passed.allowed
        throttled = await made(kernel, "quick.one", session="last", approval_id=asked.approval_id)
        assert throttled.reason_code == THROTTLE  # its session's own pace, which no human is asked about


async def test_the_counters_come_out_the_same_of_the_journal_and_every_decision_can_be_made_again(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    async with house.kernel(policy=TEMPORAL) as kernel:
        for number in range(24):
            await came(kernel, ("quick.one", "crowded", "office")[number % 3], f"p{number % 2}", f"s{number % 4}")
            house.clock.advance((0, 5, 45, 700, -3)[number % 5])
        live = known_to(kernel)
    folded, _ = await house.read_simulated()
    assert remembered(folded) == live
    assert live["velocities"].by_clock.keys() == {
        ("one-agent", 60, 0),
        ("one-session", 60, 0),
        ("whole-tenant", 60, 600),
    }
    policy, again = house.sign(TEMPORAL).policy, 0
    for row in house.disk.rows:
        entry = parse(row)
        if "facts" in entry["beside"]:
            decision = CHAIN.evaluate(*read_facts(canonical(entry["beside"]["facts"]), policy, "test")).decision
            again += decision.id == entry["node"]["payload"]["decision"]["decision_id"]
    assert again == 24


async def test_approvers_are_not_worn_out_by_calls_out_of_hours(
    house: House, autojump_clock: trio.testing.MockClock
) -> None:
    house.clock.start_ms = round(moment("2026-12-25T12:00+01:00") * 1000)
    async with house.kernel(policy=TEMPORAL) as kernel:
        codes = [
            (await kernel.call("office", {"n": number}, principal="ann", session="s", tenant="acme")).reason_code
            for number in range(22)
        ]
        assert codes == [INTERRUPT] * 20 + [ReasonCode.ERR_APPROVAL_RATE_LIMIT_EXCEEDED] * 2
        assert len(kernel.memory.approvals.ceremonies) == 20
        house.clock.advance(3_601)
        assert await came(kernel, "office") == INTERRUPT


def moment(text: str) -> float:
    """Return a moment, stated with its offset, in seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("tool", "at_s", "code"),
    [
        ("office", moment("2026-10-05T07:59:59+02:00"), INTERRUPT),
        ("office", moment("2026-10-05T08:00+02:00"), PASS),
        ("office", moment("2026-10-23T17:59:59+02:00"), PASS),  # summer time
        ("office", moment("2026-10-26T17:59:59+01:00"), PASS),  # and winter time, an hour later by UTC
        ("office", moment("2026-10-26T18:00+01:00"), INTERRUPT),
        ("office", moment("2026-10-24T12:00+02:00"), INTERRUPT),
        ("office", moment("2026-12-25T12:00+01:00"), INTERRUPT),
        ("nightly", moment("2026-03-29T01:59:59+01:00"), INTERRUPT),
        ("nightly", moment("2026-03-29T03:00+02:00"), INTERRUPT),  # the second after it: there is no 02:00 that night
        ("nightly", moment("2026-10-25T02:00+02:00"), PASS),
        ("nightly", moment("2026-10-25T02:59:59+01:00"), PASS),
        ("nightly", moment("2026-10-25T03:00+01:00"), INTERRUPT),
        ("leaping", moment("2028-02-28T23:59:59+01:00"), INTERRUPT),
        ("leaping", moment("2028-02-29T00:00+01:00"), PASS),
        ("leaping", moment("2028-02-29T23:59:59+01:00"), PASS),
        ("leaping", moment("2028-03-01T00:00+01:00"), INTERRUPT),
    ],
)
async def test_hours_are_those_of_the_place_to_the_edge(
    house: House, autojump_clock: trio.testing.MockClock, tool: str, at_s: float, code: str
) -> None:
    house.clock.start_ms = round(at_s * 1000)
    async with house.kernel(policy=TEMPORAL) as kernel:
        house.clock.start_ms += round(at_s * 1000) - house.clock.now_ms()
        assert await came(kernel, tool) == code
