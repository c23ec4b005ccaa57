"""Each office is killed in turn while calls are in flight.

Afterwards: nobody waits, no effect is without its intent, no receipt that was shown is missing, the chain goes on, and
every intent has exactly one outcome.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import attrs
import pytest
import trio
import trio.testing

from actors.kernel import Kernel
from actors.mailbox import KernelStopped
from actors.opening import Ground
from actors.stores.index_file import open_index
from helm.guardian.intake import PLAIN, Terms
from tests.actors.kit import LIMITS, House, Log, Told, settle
from tests.actors.puppet import Hold, Puppet
from tests.chaos.disasters import BreakingClock, BreakingIndex, BreakingPen, BreakingSensor, Disaster

pytestmark = pytest.mark.every_store

EFFECTS = 5
SHORT = attrs.evolve(LIMITS, grace_s=0.5)
KEY = Terms(idempotency_key="k")


@attrs.define(eq=False)
class Scene:
    """A kernel with effects under way, callers outside of it, and every part that can be broken."""

    house: House
    ground: Ground
    clock: BreakingClock
    pen: BreakingPen
    sensor: BreakingSensor
    index: BreakingIndex
    hold: Hold = attrs.field(factory=Hold)
    told: Told = attrs.field(factory=Told)
    puppet: Puppet = attrs.field(factory=Puppet)
    later: Callable[..., None] = print
    asked: int = 0

    @classmethod
    async def build(cls, house: House, *, real: bool) -> Scene:
        """Put breakable parts into the house's ground."""
        ground = await (house.real_ground() if real else house.simulated_ground())
        await ground.index.aclose()
        house.clock = clock = BreakingClock()
        pen = BreakingPen(ground.pen)
        sensor = BreakingSensor(house.place.path, house.place.config_hash)
        file = open_index(house.path / "breaking.sqlite", house.place.log_id)
        index = BreakingIndex(file, file.watermark)
        ground = attrs.evolve(ground, pen=pen, sensor=sensor, index=index)
        return cls(house, ground, clock, pen, sensor, index)

    async def play(self, strike: Callable[[Scene, Kernel], Awaitable[None]]) -> KernelStopped:
        """Strike while calls of every kind are under way; return how the kernel ended."""
        self.puppet.deed, self.puppet.awaited = self.hold, EFFECTS
        with trio.fail_after(30):
            async with trio.open_nursery() as callers:
                with pytest.raises(KernelStopped) as stopped:
                    async with self.house.kernel(self.puppet, ground=self.ground, limits=SHORT) as kernel:
                        self._begin(callers, kernel)
                        await self.puppet.began.wait()
                        self.later = partial(self._ask, callers, kernel)
                        await strike(self, kernel)
                        await trio.sleep_forever()
        with pytest.raises(KernelStopped):
            await kernel.call("read", {})
        assert len(self.told.answers) + len(self.told.stopped) == self.asked
        return stopped.value

    def _begin(self, callers: trio.Nursery, kernel: Kernel) -> None:
        for number in range(EFFECTS - 1):
            self._ask(callers, kernel, "read", f"s{number}")
        for _ in range(3):  # one effect, and two duplicates that wait for its answer
            self._ask(callers, kernel, "write", "k", KEY)

    def _ask(
        self, callers: trio.Nursery, kernel: Kernel, tool: str, session: str = "later", terms: Terms = PLAIN
    ) -> None:
        self.asked += 1
        call = partial(kernel.call, tool, {"session": session}, principal=session, session=session, terms=terms)
        callers.start_soon(self.told.ask, call)

    async def check(self, *, real: bool) -> Log:
        """Assert what must hold before and after a restart; return what the journal says then."""
        dispatched = {order.decision_id for order in self.puppet.orders}
        read = self.house.read_real if real else self.house.read_simulated
        _, log = await read()
        log.check(shown=self.told.receipt_ids(), dispatched=dispatched)
        for _ in range(2):
            ground = await (self.house.real_ground() if real else self.house.simulated_ground())
            self.clock.breaks_in = 0
            async with self.house.kernel(self.puppet, ground=ground) as kernel:
                again = await kernel.call("write", {"session": "k"}, principal="k", session="k", terms=KEY)
                assert again.replayed  # the key is never dispatched twice, whatever became of its effect
        state, log = await read()
        log.check_all_sealed(shown=self.told.receipt_ids(), dispatched=dispatched)
        assert not state.open_intents
        assert len(self.puppet.orders) == len(dispatched)
        return log


async def the_guardian(scene: Scene, kernel: Kernel) -> None:
    scene.sensor.broken = True
    scene.later("read")


async def the_guardian_at_its_clock(scene: Scene, kernel: Kernel) -> None:
    scene.clock.breaks_in = 1
    scene.later("nope")


async def the_signer(scene: Scene, kernel: Kernel) -> None:
    scene.pen.broken = True
    scene.later("nope")


async def the_signer_at_an_outcome(scene: Scene, kernel: Kernel) -> None:
    scene.pen.broken = True
    scene.hold.let_go()


async def the_signer_at_its_clock(scene: Scene, kernel: Kernel) -> None:
    scene.clock.breaks_in = 2
    scene.later("nope")


async def the_appender_at_an_intent(scene: Scene, kernel: Kernel) -> None:
    scene.index.breaks_on_note = True
    scene.later("read")


async def the_appender_at_an_outcome(scene: Scene, kernel: Kernel) -> None:
    scene.index.breaks_on_note = True
    scene.hold.let_go()


async def an_executors_hand(scene: Scene, kernel: Kernel) -> None:
    scene.clock.breaks_in = 2  # the guardian's look, then that of the last lock
    scene.later("read")


async def the_timelock(scene: Scene, kernel: Kernel) -> None:
    scene.clock.breaks_in = 3  # guardian, signer, and the timelock that learns of a new deadline
    scene.later("asking")


async def the_index(scene: Scene, kernel: Kernel) -> None:
    scene.index.breaks_on_flush = True


async def a_door(scene: Scene, kernel: Kernel) -> None:
    kernel.nursery.start_soon(break_down)


async def break_down() -> None:
    """Fail as a door might."""
    raise Disaster("the door")


DISASTERS: Mapping[str, Callable[[Scene, Kernel], Awaitable[None]]] = {
    strike.__name__: strike
    for strike in (
        the_guardian,
        the_guardian_at_its_clock,
        the_signer,
        the_signer_at_an_outcome,
        the_signer_at_its_clock,
        the_appender_at_an_intent,
        the_appender_at_an_outcome,
        an_executors_hand,
        the_timelock,
        the_index,
        a_door,
    )
}


def cause(stopped: KernelStopped) -> BaseException | None:
    """Return what stood behind the kernel's end, out of the groups that nurseries make."""
    problem = stopped.__cause__
    while isinstance(problem, BaseExceptionGroup):
        problem = problem.exceptions[0]
    return problem


@pytest.mark.parametrize("strike", DISASTERS.values(), ids=DISASTERS)
async def test_an_office_dies_on_a_simulated_disk(
    house: House, strike: Callable[[Scene, Kernel], Awaitable[None]], autojump_clock: trio.testing.MockClock
) -> None:
    scene = await Scene.build(house, real=False)
    stopped = await scene.play(strike)
    assert isinstance(cause(stopped), Disaster)
    log = await scene.check(real=False)
    unknown = sum(problem.unknown for problem in scene.told.stopped)
    if strike is an_executors_hand:
        assert (unknown, stopped.unknown) == (1, True)  # the call whose hand it was, and no other
    elif not strike.__name__.startswith(("the_signer", "the_appender")):
        assert (unknown, stopped.unknown) == (0, False)  # every effect got its last word before the kernel ended
    assert log.statuses()["INDETERMINATE"] >= EFFECTS or strike is the_appender_at_an_outcome


@pytest.mark.parametrize("strike", DISASTERS.values(), ids=DISASTERS)
async def test_an_office_dies_on_a_real_disk(house: House, strike: Callable[[Scene, Kernel], Awaitable[None]]) -> None:
    scene = await Scene.build(house, real=True)
    if strike is the_index:
        scene.index._fresh.update({f"key-{number}": 0 for number in range(20_000)})  # enough to be due at once
    assert isinstance(cause(await scene.play(strike)), Disaster)
    await scene.check(real=True)


@pytest.mark.parametrize("seconds", [0.05, 0.15, 0.25])
@pytest.mark.parametrize("strike", [the_guardian, the_signer, the_appender_at_an_outcome, a_door])
async def test_an_office_dies_while_commits_are_under_way(
    house: House,
    strike: Callable[[Scene, Kernel], Awaitable[None]],
    seconds: float,
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def busy(scene: Scene, kernel: Kernel) -> None:
        house.disk.commit_seconds = 0.1
        for number in range(6):
            scene.later("read" if number % 2 else "nope", f"b{number}")
        await trio.sleep(seconds)
        await strike(scene, kernel)

    scene = await Scene.build(house, real=False)
    assert isinstance(cause(await scene.play(busy)), Disaster)
    await scene.check(real=False)


@pytest.mark.of_files
async def test_the_journals_file_vanishes(house: House) -> None:
    async def strike(scene: Scene, kernel: Kernel) -> None:
        house.place.journal_path.rename(house.place.journal_path.with_name("taken-away"))
        with pytest.raises((KernelStopped, trio.Cancelled)):
            while True:
                await kernel.call("nope", {}, session="n")
        house.place.journal_path.with_name("taken-away").rename(house.place.journal_path)
        await trio.lowlevel.checkpoint()

    scene = await Scene.build(house, real=True)
    stopped = await scene.play(strike)
    assert "replaced" in str(cause(stopped)) or "JournalFailed" in repr(cause(stopped))
    await scene.check(real=True)


async def test_everything_breaks_at_once(house: House, autojump_clock: trio.testing.MockClock) -> None:
    async def strike(scene: Scene, kernel: Kernel) -> None:
        scene.pen.broken = scene.sensor.broken = scene.index.breaks_on_note = scene.index.breaks_on_flush = True
        house.disk.fail_at(len(house.disk.batches) + 1)
        await a_door(scene, kernel)
        for tool in ("read", "nope", "asking"):
            scene.later(tool)
        scene.hold.let_go()

    scene = await Scene.build(house, real=False)
    await scene.play(strike)
    await scene.check(real=False)


async def test_a_body_that_minds_the_end_badly_still_ends(house: House, autojump_clock: trio.testing.MockClock) -> None:
    puppet = Puppet(Hold())

    async def cleans_up_badly() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise Disaster("in the body")

    with pytest.raises(ExceptionGroup) as ended:
        async with house.kernel(puppet) as kernel, trio.open_nursery() as nursery:
            nursery.start_soon(cleans_up_badly)
            nursery.start_soon(partial(kernel.call, "read", {}))
            await puppet.began.wait()
            kernel.nursery.start_soon(break_down)
            await trio.sleep_forever()
    assert [type(problem) for problem in ended.value.exceptions] == [Disaster]
    await settle()
    _, log = await house.read_simulated()
    log.check_all_sealed()


class TestRecovery:
    """What a crash left open is sealed exactly once, also when recovery itself is cut short, again and again."""

    async def leave_open(self, house: House, count: int = 4) -> Puppet:
        """End a kernel so that its effects stay without an outcome."""
        puppet, told = Puppet(Hold(), awaited=count), Told()
        async with trio.open_nursery() as callers:
            with pytest.raises(KernelStopped) as stopped:
                async with house.kernel(puppet) as kernel:
                    for number, tool in enumerate(["limited"] * 3 + ["read"] * (count - 3)):
                        callers.start_soon(told.ask, partial(kernel.call, tool, {}, session=f"s{number}"))
                    await puppet.began.wait()
                    house.disk.fail_at(len(house.disk.batches) + 1)
        assert stopped.value.unknown and len(told.stopped) == count
        return puppet

    @pytest.mark.parametrize("written", [True, False])
    async def test_a_crash_at_every_step_of_recovery_seals_each_intent_once(
        self, house: House, written: bool, autojump_clock: trio.testing.MockClock
    ) -> None:
        puppet = await self.leave_open(house)
        crashes = 0
        while True:
            ground = await house.simulated_ground()
            house.disk.fail_at(2 + crashes % 2, written=written)  # 1 is the kernel's start
            try:
                async with house.kernel(ground=ground):
                    break
            except KernelStopped:
                crashes += 1
                assert crashes < 20
        assert crashes >= 3
        _, log = await house.read_simulated()
        log.check_all_sealed(dispatched={order.decision_id for order in puppet.orders})
        assert log.statuses() == {"INDETERMINATE": 4}

    async def test_recovery_needs_no_policy_and_gives_back_no_budget(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        await self.leave_open(house)
        async with house.kernel(policy=None) as kernel:
            assert kernel.memory.ledger.accounts["few"][2] == 3
        async with house.kernel() as kernel:
            answer = await kernel.call("limited", {}, session="again")
            assert answer.reason_code == "BUDGET_EXCEEDED"
        _, log = await house.read_simulated()
        assert log.statuses()["INDETERMINATE"] == 4

    async def test_no_call_is_taken_before_the_last_of_them_is_sealed(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        await self.leave_open(house)
        async with house.kernel() as kernel:
            await kernel.call("read", {}, session="s0")
        _, log = await house.read_simulated()
        start = len(log.events) - 1 - log.events[::-1].index("KERNEL_STARTED")
        assert log.events[start:] == ["KERNEL_STARTED", *["EFFECT"] * 4, "INTENT", "EFFECT"]

    async def test_the_chain_of_a_session_goes_on_behind_its_last_words(
        self, house: House, autojump_clock: trio.testing.MockClock
    ) -> None:
        await self.leave_open(house)
        async with house.kernel() as kernel:
            answer = await kernel.call("read", {}, session="s0")
        assert answer.receipt.content.lamport_clock == 2
